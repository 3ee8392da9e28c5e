import type { RouterPart } from '../../../agent/network/router-part.ts';
import type { Flow, NetworkGoal, PublishedEndpoint, RouterOf } from '../../../agent/protocol/index.ts';

export const FLEET = 'f1ee7000-0000-4000-8000-000000000001';
const RANGE6 = 'fd12:3456:789a';

export interface Guest {
  /** `crm/web-0`. */
  readonly id: string;
  /** `crm/web`. */
  readonly role: string;
  readonly host: string;
  readonly address: string;
  readonly address6: string;
  readonly mac: string;
}

export const ROLES = ['crm/web', 'crm/db', 'shop/web', 'shop/db', 'crm/machines'];
/** The role whose instances reach each other. */
export const MESH = 'shop/db';
export const HOSTS = ['h1', 'h2', 'h3'];
export const EDGE = 'h3';

const numberOf = (role: string) => ROLES.indexOf(role) + 1;
export const cidrOf = (role: string) => `10.128.${4 * numberOf(role)}.0/22`;
export const gatewayMacOf = (role: string) => `52:54:0a:80:0${numberOfRole(role)}:01`;
export const gatewayOf = (role: string) => `10.128.${4 * numberOf(role)}.1`;
export const cidr6Of = (role: string) => `${RANGE6}:${numberOf(role)}::/64`;
export const gateway6Of = (role: string) => `${RANGE6}:${numberOf(role)}::1`;
export const numberOfRole = numberOf;

export function aGuest(role: string, index: number, host: string): Guest {
  const number = numberOf(role);
  return {
    id: `${role}-${index}`,
    role,
    host,
    address: `10.128.${4 * number}.${index + 10}`,
    address6: `${RANGE6}:${number}::${(index + 10).toString(16)}`,
    mac: `52:54:0a:80:0${number}:${(index + 10).toString(16).padStart(2, '0')}`,
  };
}

export const underlayOf = (host: string) => `192.0.2.${10 + HOSTS.indexOf(host)}`;

export const routerOf = (host: string): RouterOf => {
  const number = HOSTS.indexOf(host) + 2;
  return {
    host,
    underlay: underlayOf(host),
    address: `10.191.252.${number}`,
    address6: `${RANGE6}::${number}`,
    mac: `52:54:ff:00:00:0${number}`,
    edge: host === EDGE,
  };
};

const [, second, third] = [0, 1, 2].map((index) => aGuest('crm/machines', index, ''));
const only = (guest: Guest | undefined) => ({
  address: guest?.address ?? '',
  address6: guest?.address6 ?? '',
});
/** Of the network of the hosts: what it has, and what of it no guest reaches. */
export const DEVICE = '192.0.2.9';
export const DEVICE6 = '2001:db8:1::9';
export const underlay6Of = (host: string) => `2001:db8:1::${10 + HOSTS.indexOf(host)}`;

export const FLOWS: readonly Flow[] = [
  // Endpoints of machines that share a network: of one on the first host, and of one on the second.
  {
    ...{ id: 'crm/machines-1/shell', from: ['crm/machines'], to: 'crm/machines', protocol: 'tcp', port: 22 },
    ...only(second),
  },
  {
    ...{ id: 'crm/machines-2/http', from: ['crm/machines', 'crm/web'], to: 'crm/machines' },
    ...{ protocol: 'tcp', port: 80, ...only(third) },
  },
  { id: 'crm/db/sql', from: ['crm/web'], to: 'crm/db', protocol: 'tcp', port: 5432 },
  { id: 'crm/db/log', from: ['crm/web'], to: 'crm/db', protocol: 'udp', port: 514 },
  { id: 'shop/db/api', from: ['shop/web'], to: 'shop/db', protocol: 'tcp', port: 9000 },
  { id: 'shop/db', from: ['shop/db'], to: 'shop/db', protocol: 'any', port: 0 },
  { id: 'crm/web/http', from: ['edge'], to: 'crm/web', protocol: 'tcp', port: 80 },
];

/** What machines of one network reach of the world, each for itself: a part of it and of the hosts' own network, nothing, and what is beyond that. */
const MACHINES_REACH: Readonly<Record<string, readonly string[]>> = {
  'crm/machines-0': [
    ...['203.0.113.2/32', '203.0.113.0/30', '203.0.113.2/31', '2001:db8:2::2/128'],
    ...['192.0.2.0/24', '2001:db8:1::/64'],
  ],
  'crm/machines-2': ['0.0.0.0/0', '::/0'],
};

const PUBLISHED: PublishedEndpoint = {
  ...{ id: 'crm/web/http', addresses: ['192.0.2.1'], port: 80, protocol: 'tcp', proxyProtocol: false },
  backends: [],
};

/** The usual flows, and so many endpoints more, at ports from this one on. */
export const flowsAnd = (count: number, from = 10_000): readonly Flow[] => [
  ...FLOWS,
  ...Array.from({ length: count }, (_, index) => ({
    ...{ id: `crm/db/${from + index}`, from: ['crm/web'], to: 'crm/db', protocol: 'tcp' as const },
    port: from + index,
  })),
];

/** What a host's goal says, when guests are where they are said to be. */
export function partOf(host: string, guests: readonly Guest[], flows: readonly Flow[] = FLOWS): RouterPart {
  const here = guests.filter((guest) => guest.host === host);
  const roles = ROLES.filter((role) => here.some((guest) => guest.role === role));
  return {
    fleet: FLEET,
    networks: roles.map((role) => networkOf(role, host, guests)),
    backbone: {
      ...{ vni: 0xf1ffff, port: 4789, mtu: 1450 },
      ...{
        range: '10.128.0.0/10',
        range6: `${RANGE6}::/48`,
        cidr: '10.191.252.0/22',
        cidr6: `${RANGE6}::/64`,
      },
      outOfReach: [DEVICE, DEVICE6, ...HOSTS.map(underlay6Of)],
      self: routerOf(host),
      others: HOSTS.filter((other) => other !== host).map(routerOf),
    },
    ...(routerOf(host).edge && { edge: { addresses: [], endpoints: [PUBLISHED] } }),
    router: {
      subnets: ROLES.map((role) => ({ id: role, cidr: cidrOf(role), cidr6: cidr6Of(role) })),
      flows: [...flows],
      routes: guests
        .filter((guest) => guest.host !== host)
        .map(({ address, address6, host: there }) => ({ address, address6, host: there })),
      outbound: [
        { subnet: 'crm/web', allow: 'all' as const },
        {
          subnet: 'crm/db',
          allow: ['203.0.113.2/32', '2001:db8:2::2/128', '192.0.2.0/24', '2001:db8:1::/64'],
        },
      ].filter(({ subnet }) => roles.includes(subnet)),
      outboundByGuest: here.flatMap(({ id, role, address, address6 }) => {
        const allow = MACHINES_REACH[id];
        return allow === undefined ? [] : [{ subnet: role, address, address6, allow: [...allow] }];
      }),
    },
  };
}

function networkOf(role: string, host: string, guests: readonly Guest[]): NetworkGoal {
  const all = guests.filter((guest) => guest.role === role);
  const lease = ({ id, mac, address, address6 }: Guest) => ({
    vmId: id,
    mac,
    address,
    address6,
    hostname: 'guest',
  });
  return {
    ...{ id: role, number: numberOf(role), cidr: cidrOf(role), gateway: gatewayOf(role) },
    ...{ cidr6: cidr6Of(role), gateway6: gateway6Of(role) },
    leases: all.filter((guest) => guest.host === host).map(lease),
    ...(role === MESH
      ? {
          mesh: {
            vni: 0xf10000 + numberOf(role),
            peers: all
              .filter((guest) => guest.host !== host)
              .map(({ mac, address, address6, host: there }) => ({ mac, address, address6, host: there })),
          },
        }
      : {}),
  };
}

/** Whether a connection is declared, as a person would say it. */
export const isDeclared = (from: Guest, to: Guest, port: number): boolean =>
  (from.role === MESH && to.role === MESH) ||
  FLOWS.some(
    (flow) =>
      flow.protocol === 'tcp' &&
      flow.from.includes(from.role) &&
      flow.to === to.role &&
      (flow.address === undefined || flow.address === to.address) &&
      flow.port === port,
  );
