import { describe, expect, test } from 'vitest';
import { guestAddress6 } from '../../../agent/kit/addressing.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { networkView } from '../../../controller/network/view.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const input = { type: 'input', protocol: 'http', port: 80, targetPort: 8080, from: [] } as const;
const perInstance = { type: 'instance', protocol: 'tcp', port: 9000, targetPort: 22, from: [] } as const;
const sql = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } as const;
const dns = { type: 'internal', protocol: 'udp', port: 53, targetPort: 53, from: [] } as const;

const edge: HostRecord = (() => {
  const host = aHost('h1');
  return {
    ...host,
    number: 2,
    offer: host.offer && {
      ...{ ...host.offer, edge: true },
      underlay: { address: '192.0.2.2', mtu: 1_500, networks: [], own: [] },
    },
  };
})();

function aWorld(hosts: readonly HostRecord[] = [edge]) {
  const crm = anApplication('crm', {
    roles: {
      web: aRole({
        endpoints: { http: input, shell: perInstance },
        outbound: ['192.0.2.0/24', '2001:db8::/32'],
      }),
      db: aRole({ endpoints: { sql }, outbound: false, mesh: true }),
      job: aRole(),
    },
    machines: {
      files: aMachine({ endpoints: { dns } }),
      other: aMachine({ outbound: ['192.0.2.0/24', '198.51.100.0/24'] }),
      shut: aMachine({ outbound: false }),
    },
  });
  const network = (id: string, number: number) => ({
    ...{ id, number, cidr: `10.128.${(number - 1) * 4}.0/22`, gateway: `10.128.${(number - 1) * 4}.1` },
    addresses: {},
  });
  const machine = {
    role: null,
    index: null,
    kind: 'machine',
    networkId: 'crm/machines',
    host: 'h2',
  } as const;
  const vms = [
    aVm(),
    aVm({ id: 'crm/db-0', role: 'db', networkId: 'crm/db', address: '10.128.4.10', host: 'h3' }),
    aVm({ ...machine, id: 'crm/files', address: '10.128.8.10' }),
    aVm({ ...machine, id: 'crm/other', address: '10.128.8.11' }),
    aVm({ ...machine, id: 'crm/shut', address: '10.128.8.12' }),
    aVm({ ...machine, id: 'crm/past', address: '10.128.8.13' }),
    aVm({ id: 'shop/web-0', app: 'shop', networkId: 'shop/web', address: '10.128.12.10' }),
  ];
  const applications = [crm, anApplication('shop')];
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map(applications.map((each) => [each.name, each])),
    networks: new Map(
      [network('crm/web', 1), network('crm/db', 2), network('crm/machines', 3), network('shop/web', 4)].map(
        (each) => [each.id, each],
      ),
    ),
    hosts: new Map(hosts.map((each) => [each.name, each])),
    vms: new Map(vms.map((each) => [each.id, each])),
  };
}

const ask = (from: string, to: string, port: number, protocol: 'tcp' | 'udp' = 'tcp', world = aWorld()) =>
  whyOf({ from, to, port, protocol }, world);

describe('whether a connection passes', () => {
  test.each([
    ['crm/web-0', 'crm/db-0', 5432, 'tcp', 'crm/db/sql'],
    ['crm/web', 'crm/db', 5432, 'tcp', 'crm/db/sql'],
    ['crm/db-0', 'crm/db', 1, 'udp', 'crm/db'],
    ['crm/web-0', 'crm/files', 53, 'udp', 'crm/files/dns'],
    ['10.128.0.10', '10.128.4.10', 5432, 'tcp', 'crm/db/sql'],
    ['crm/web-0', guestAddress6(FLEET, 2, '10.128.4.0/22', '10.128.4.10'), 5432, 'tcp', 'crm/db/sql'],
    ['crm/other', 'crm/files', 53, 'udp', 'crm/files/dns'],
    ['world', 'crm/web', 80, 'tcp', 'crm/web/http'],
    ['world', 'crm/web-0', 9000, 'tcp', 'crm/web/shell'],
    ['crm/web-0', '192.0.2.7', 443, 'tcp', 'crm/web outbound'],
    ['crm/web-0', '2001:db8::7', 443, 'tcp', 'crm/web outbound'],
    ['crm/job', 'world', 443, 'tcp', 'crm/job outbound'],
    ['crm/files', '203.0.113.1', 443, 'tcp', 'crm/files outbound'],
    ['crm/other', '198.51.100.1', 443, 'tcp', 'crm/other outbound'],
    ['crm/machines', 'world', 443, 'tcp', 'crm/files outbound'],
  ] as const)('%s → %s:%d/%s does, by %s', (from, to, port, protocol, rule) => {
    expect(ask(from, to, port, protocol)).toMatchObject({ allowed: true, rule });
  });

  test.each([
    ['crm/job', 'crm/db-0', 5432, 'tcp', 'crm/db/sql lets in crm/web only'],
    [
      'crm/web-0',
      'crm/db-0',
      5432,
      'udp',
      'no endpoint of crm/db-0 is declared for udp 5432; crm/web may use tcp 5432',
    ],
    ['crm/web-0', 'crm/web', 8080, 'tcp', 'do not reach each other'],
    ['crm/web-0', 'crm/other', 53, 'udp', 'no endpoint of crm/other'],
    ['crm/files', 'crm/other', 53, 'udp', 'no endpoint of crm/other'],
    ['shop/web-0', 'crm/db-0', 5432, 'tcp', 'from one application to another: shop and crm'],
    ['world', 'crm/web', 8080, 'tcp', 'of crm/web tcp 80 (crm/web/http)'],
    ['world', 'crm/db', 5432, 'tcp', 'of crm/db nothing'],
    ['world', 'crm/web-0', 9001, 'tcp', 'tcp 9000 (crm/web/shell)'],
    ['crm/web-0', '198.51.100.1', 443, 'tcp', 'where 198.51.100.1 is not'],
    ['crm/db-0', 'world', 443, 'tcp', 'outbound of crm/db is false'],
    ['crm/shut', 'world', 443, 'tcp', 'outbound of crm/shut is false'],
    ['crm/other', '203.0.113.1', 443, 'tcp', 'where 203.0.113.1 is not'],
    ['crm/past', 'world', 443, 'tcp', 'crm/past is not declared any more, and nothing of it gets out'],
  ] as const)('%s → %s:%d/%s does not: %s', (from, to, port, protocol, reason) => {
    const answer = ask(from, to, port, protocol);
    expect(answer.allowed).toBe(false);
    expect(answer.reason).toContain(reason);
  });

  test('is decided on the hosts of both ends, and on edge hosts for the world', () => {
    expect(ask('crm/files', 'crm/db-0', 5432).hosts).toEqual(['h2', 'h3']);
    expect(ask('world', 'crm/files', 80).hosts).toEqual(['h1', 'h2']);
  });

  test.each([
    ['no host is an edge host', aHost('h1')],
    ['all of them are down', { ...edge, state: 'down' as const }],
  ])('what is published is served by nobody while %s', (_why, host) => {
    const answer = ask('world', 'crm/web', 80, 'tcp', aWorld([host]));
    expect(answer).toMatchObject({ allowed: false, rule: 'crm/web/http' });
    expect(answer.reason).toContain('no edge host is up');
  });

  test.each(['crm', 'crm/nothing', 'nothing/web', 'crm/web/http', '../etc'])('%s is no end', (end) => {
    expect(() => ask(end, 'crm/web', 80)).toThrow('there is no instance, machine, role or network');
  });
});

test('a network has its subnets with their guests, and the names of its application alone', () => {
  const view = networkView('crm', aWorld());
  expect(view?.subnets.map(({ id, guests }) => [id, guests.map((guest) => guest.id)])).toEqual([
    ['crm/web', ['crm/web-0']],
    ['crm/db', ['crm/db-0']],
    ['crm/job', []],
    ['crm/machines', ['crm/files', 'crm/other', 'crm/past', 'crm/shut']],
  ]);
  expect(view?.names).toContainEqual({ name: 'files.crm.weft.internal', type: 'A', data: '10.128.8.10' });
  expect(view?.names.filter(({ name }) => name.includes('shop'))).toEqual([]);
  expect(networkView('nothing', aWorld())).toBeNull();
});

test('what of the world is reached is said of a subnet, or of each of its machines where they differ', () => {
  const world = aWorld();
  const machines = networkView('crm', world)?.subnets.at(-1);
  expect(machines?.outbound).toEqual([]);
  expect(machines?.guests.map(({ id, outbound }) => [id, outbound])).toEqual([
    ['crm/files', 'all'],
    ['crm/other', ['192.0.2.0/24', '198.51.100.0/24']],
    ['crm/past', []],
    ['crm/shut', []],
  ]);
  expect(ask('crm/machines', '198.51.100.1', 443).reason).toBe(
    'outbound of crm/files is all of the world, of crm/files, crm/other alone',
  );
  for (const id of ['crm/other', 'crm/past', 'crm/shut']) world.vms.delete(id);
  const crm = anApplication('crm', { roles: {}, machines: { files: aMachine() } });
  const alone = networkView('crm', { ...world, applications: new Map([['crm', crm]]) })?.subnets[0];
  expect([alone?.outbound, alone?.guests[0] && 'outbound' in alone.guests[0]]).toEqual(['all', false]);
});
