import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { guestAddress6 } from '../../../agent/kit/addressing.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { networkPartsOf } from '../../../controller/reconciler/network-goals.ts';
import { aMachine, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { applicationOf, guestsOf, hostOf } from './any-fabric.ts';

const LAN = ['192.168.7.0/24', 'fd00:7::/64'];
const LIBVIRT = '192.168.122.0/24';
/** Both hosts, each with a second address; the controller; devices by a host's configuration and by the controller's secrets. */
const OWN = {
  h1: ['192.168.7.1', 'fd00:7::1', '192.168.122.1', '192.168.7.250'],
  h2: ['192.168.7.2', 'fd00:7::2', '198.51.100.2'],
};
/** Public addresses: h2 has one of them, and nobody another. */
const PUBLIC = ['192.168.7.203-192.168.7.210/24', 'fd00:7::200-fd00:7::2ff/64'];
const SHARED = ['192.168.7.204', '192.168.7.210', 'fd00:7::2ff'];
const DEVICES = ['192.168.7.99', '203.0.113.9', '192.168.7.98', 'fd00:7::98'];
const CLOSED = [
  ...OWN.h1,
  ...OWN.h2,
  ...DEVICES,
  ...SHARED,
  '169.254.169.254',
  'fe80::1',
  '10.130.0.1',
  '192.168.122.7',
];
const ADDRESSES = [...CLOSED, '192.168.7.5', 'fd00:7::5', '8.8.8.8', '10.1.2.3', '2001:db8::7'];
const PREFIXES = [
  ...[...LAN, LIBVIRT, '192.168.7.5/32', '192.168.0.0/16', '0.0.0.0/0', '::/0', 'fd00:7::5/128', 'fc00::/7'],
  ...['10.0.0.0/8', '169.254.0.0/16', 'fe80::/10', '198.51.100.0/24', '203.0.113.0/24', '192.168.7.99/32'],
];

function isIn(address: string, prefixes: readonly string[]): boolean {
  const list = new BlockList();
  const family = (text: string) => (isIPv6(text) ? 'ipv6' : 'ipv4');
  // The list takes an IPv4 address for one of IPv6 as well: what is of the other family is left out.
  for (const prefix of prefixes.filter((each) => isIPv6(each.split('/')[0] ?? '') === isIPv6(address))) {
    const [base = '', length] = prefix.split('/');
    list.addSubnet(base, Number(length ?? (isIPv6(base) ? 128 : 32)), family(base));
  }
  return list.check(address, family(address));
}

type Outbound = undefined | false | readonly string[];
const saying = (outbound: Outbound) => (outbound === undefined ? {} : { outbound });

function worldOf(outbound: Outbound, machines: Readonly<Record<string, Outbound>> = {}) {
  const role = aRole({ instances: 1, ...saying(outbound) });
  const crm = applicationOf('crm', {
    roles: { a: role },
    machines: Object.fromEntries(
      Object.entries(machines).map(([name, each]) => [name, aMachine(saying(each))]),
    ),
  });
  const { vms, networks } = guestsOf(crm, 1, () => 'h1');
  const host = (name: 'h1' | 'h2', fence: readonly object[]) => {
    const record = hostOf(name, {
      underlay: true,
      isElsewhere: false,
      state: 'up',
      mtu: 1_500,
      edge: undefined,
      label: undefined,
    });
    const held = name === 'h2' ? ['192.168.7.204'] : [];
    const own = { networks: [...LAN, LIBVIRT], own: [...OWN[name], ...held], closed: [LIBVIRT] };
    const underlay = record.offer?.underlay && { ...record.offer.underlay, ...own };
    return { ...record, offer: { ...record.offer, underlay, fence } } as typeof record;
  };
  const device = { agent: 'fence_ipmilan', options: { ip: '192.168.7.99', username: 'fence' } };
  const other = { agent: 'fence_virsh', options: { ip: '203.0.113.9' } };
  const hosts = [host('h1', []), host('h2', [device, other])];
  return {
    fleet: {
      ...{ uuid: FLEET, epoch: 1, range: '10.128.0.0/10', devices: ['192.168.7.98', 'fd00:7::98'] },
      public: PUBLIC,
    },
    applications: new Map([['crm', crm]]),
    hosts: new Map(hosts.map((each) => [each.name, each])),
    vms: new Map(vms.map((each) => [each.id, each])),
    networks: new Map(networks.map((each) => [each.id, each])),
  };
}

/** By the chain as it is written, one rule after the other. */
function passes(text: string, network: number, source: string, address: string): boolean {
  const setOf = (name: string) =>
    (new RegExp(`set ${name} \\{[^}]*?elements = \\{ ([^}]*) \\}`).exec(text)?.[1] ?? '')
      .split(', ')
      .filter(Boolean);
  const chain = /chain outbound \{\n([^}]*)\}/.exec(text)?.[1] ?? '';
  const family = isIPv6(address) ? 'ip6' : 'ip';
  for (const rule of chain.split('\n').map((line) => line.trim())) {
    const [, from, by] = /^ip6? saddr (\. ip6? daddr )?@(\S+) accept$/.exec(rule) ?? [];
    if (by !== undefined) {
      const own = setOf(by).map((each) => each.split(' . '));
      if (own.some(([guest, to]) => guest === source && (from === undefined || isIn(address, [to ?? '']))))
        return true;
      continue;
    }
    const [, bridge, named, to, verdict] =
      /^(?:iifname "wb5eed-(\d+)" ?)?(?:(?:ct original )?(ip6?) daddr (\S+) )?(?:counter )?(accept|drop)$/.exec(
        rule,
      ) ?? [];
    if (verdict === undefined) throw new Error(`what does ${rule} say?`);
    if (bridge !== undefined && Number(bridge) !== network) continue;
    if (named !== undefined && named !== family) continue;
    const prefixes = to?.startsWith('@') ? setOf(to.slice(1)) : [to ?? ''];
    if (to === undefined || isIn(address, prefixes)) return verdict === 'accept';
  }
  throw new Error('the chain decides nothing');
}

test('of the hosts’ network a guest reaches what is named and no host or device, and why says what the rules do', () => {
  fc.assert(
    fc.property(anyOutbound, fc.constantFrom(...ADDRESSES), (outbound, address) => {
      expectAsDeclared(worldOf(outbound), 'crm/a-0', outbound, address);
    }),
    { numRuns: 1_000 },
  );
});

test('so does each machine, whatever others on its network reach, and older agents open nothing that is not all of theirs', () => {
  fc.assert(
    fc.property(anyOutbound, anyOutbound, fc.constantFrom(...ADDRESSES), (one, other, address) => {
      const world = worldOf(false, { one, other, third: one });
      for (const [name, outbound] of Object.entries({ one, other, third: one })) {
        const parts = expectAsDeclared(world, `crm/${name}`, outbound, address);
        const { outboundByGuest: _unread, ...router } = parts.router;
        const older = composeRuleset({ fleet: FLEET, ...parts, router }, LAN, []);
        if (sent(older, world, `crm/${name}`, address)) expect(isReached(outbound, address)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

const anyOutbound = fc.option(fc.oneof(fc.constant<false>(false), fc.subarray(PREFIXES, { minLength: 1 })), {
  nil: undefined,
});

function isReached(outbound: Outbound, address: string): boolean {
  const narrow = outbound ? outbound.filter((prefix) => !prefix.endsWith('/0')) : [];
  const isOut = outbound === undefined || (outbound !== false && isIn(address, outbound));
  return isOut && (!isIn(address, LAN) || isIn(address, narrow));
}

/** Whether rules let out what a guest sends. */
function sent(text: string, world: ReturnType<typeof worldOf>, id: string, address: string): boolean {
  const vm = world.vms.get(id);
  const network = vm && world.networks.get(vm.networkId);
  if (!vm || !network) throw new Error(`there is no ${id}`);
  const own = isIPv6(address) ? guestAddress6(FLEET, network.number, network.cidr, vm.address) : vm.address;
  return passes(text, network.number, own, address);
}

function expectAsDeclared(
  world: ReturnType<typeof worldOf>,
  id: string,
  outbound: Outbound,
  address: string,
) {
  const parts = networkPartsOf('h1', [...world.vms.values()], world);
  if (!parts.router) throw new TypeError('it is a router');
  const text = composeRuleset({ fleet: FLEET, ...parts }, [...LAN, LIBVIRT], [...OWN.h1, LIBVIRT]);
  const expected = isReached(outbound, address) && !CLOSED.includes(address);
  const { allowed } = whyOf({ from: id, to: address, port: 80, protocol: 'tcp' }, world);
  expect({ rules: sent(text, world, id, address), why: allowed }).toEqual({ rules: expected, why: expected });
  return { ...parts, router: parts.router };
}
