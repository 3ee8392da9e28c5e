import { describe, expect, test } from 'vitest';
import type { HostRecord, NetworkRecord } from '../../../controller/model/records.ts';
import { backboneGoalOf } from '../../../controller/reconciler/backbone-goals.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { edgeHosts } from '../../../controller/reconciler/edge-hosts.ts';
import { networkPartsOf } from '../../../controller/reconciler/network-goals.ts';
import { followHostNetworks } from '../../../controller/reconciler/rules/host-networks.ts';
import { freeNumber, subnetsIn } from '../../../controller/reconciler/subnet-numbers.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { candidateOf } from '../../../controller/scheduler/candidates.ts';
import { hostState } from '../../../controller/scheduler/filters/host-state.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const fleet = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };

function hostAt(
  name: string,
  address: string,
  more: Partial<HostRecord> & { networks?: string[]; mtu?: number } = {},
) {
  const { networks = ['192.168.7.0/24'], mtu = 1_500, ...overrides } = more;
  const host = aHost(name, {}, overrides);
  if (!host.offer) throw new TypeError('it offers something');
  return { ...host, offer: { ...host.offer, underlay: { address, mtu, networks } } };
}

function followed(...hosts: readonly HostRecord[]) {
  const world = { fleet, hosts: new Map(hosts.map((host) => [host.name, host])) } as unknown as World;
  const draft = new Draft(world, 1);
  followHostNetworks(draft);
  return { hosts: draft.all('hosts'), draft };
}

test('hosts on an underlay get the lowest free numbers and keep them; others have none', () => {
  const { hosts } = followed(
    hostAt('a', '192.168.7.1', { number: 3 }),
    hostAt('b', '192.168.7.2'),
    aHost('c'),
    hostAt('d', '192.168.7.4'),
  );
  expect(hosts.map(({ name, number }) => [name, number])).toEqual([
    ['a', 3],
    ['b', 2],
    ['c', undefined],
    ['d', 4],
  ]);
  expect(followed(...hosts).draft.changes).toBe(0);
});

test('a host whose networks are the fleet’s too takes nothing new, says which, and is told when that is over', () => {
  const { hosts, draft } = followed(
    hostAt('a', '10.130.0.1', { networks: ['192.168.7.0/24', '10.130.0.0/16'] }),
  );
  expect(hosts[0]?.collision).toBe(
    "its network 10.130.0.0/16 overlaps 10.128.0.0/10, which is the fleet's for guests",
  );
  expect(draft.writes().events.map(({ kind }) => kind)).toEqual(['host-collision']);
  const load = { host: candidateOf(hosts[0] as HostRecord) } as never;
  expect(hostState.accepts({ only: null } as never, load)).toBe(false);
  expect(hostState.reason({ only: null } as never, load)).toContain('10.130.0.0/16 overlaps 10.128.0.0/10');
  const over = followed(hostAt('a', '192.168.7.1', { ...hosts[0], networks: ['192.168.7.0/24'] }));
  expect(over.hosts[0]?.collision).toBeNull();
  const six = followed(hostAt('b', '192.168.7.1', { networks: ['fd5e:ed00::/32'] }));
  expect(six.hosts[0]?.collision).toContain('fd5e:ed00::/32 overlaps fd5e:ed00::/48');
});

test('a backbone is the same to all hosts, but for who they are', () => {
  const { hosts } = followed(
    hostAt('a', '192.168.7.1', { mtu: 9_000 }),
    hostAt('b', '192.168.7.2'),
    aHost('c'),
  );
  const world = {
    fleet,
    hosts: new Map(hosts.map((host) => [host.name, host])),
    applications: new Map(),
    networks: new Map(),
    vms: new Map(),
  };
  const router = {
    ...{ host: 'b', underlay: '192.168.7.2', address: '10.191.252.3', address6: 'fd5e:ed00::3' },
    ...{ mac: '52:54:0a:bf:fc:03', edge: false },
  };
  expect(backboneGoalOf('a', world)).toEqual({
    ...{ vni: 0x5effff, port: 4789, mtu: 1_450, range: '10.128.0.0/10', range6: 'fd5e:ed00::/48' },
    ...{ cidr: '10.191.252.0/22', cidr6: 'fd5e:ed00::/64' },
    self: expect.objectContaining({ host: 'a', address: '10.191.252.2' }),
    others: [router],
  });
  expect(backboneGoalOf('b', world)?.self).toEqual(router);
  expect(backboneGoalOf('c', world)).toBeUndefined();
});

test('edge hosts are those that can, or of them those that are chosen', () => {
  const host = (name: string, edge: boolean, label?: string) => {
    const made = aHost(name);
    return { ...made, offer: { ...made.offer, edge, labels: label ? { edge: label } : {} } } as HostRecord;
  };
  const able = [host('a', true), host('b', true, 'false'), host('c', false, 'true'), host('d', true)];
  expect([...edgeHosts(able)]).toEqual(['a', 'd']);
  expect([...edgeHosts([...able, host('e', true, 'true')])]).toEqual(['e']);
});

test('a host that collides serves nobody, and has a place on the backbone for guests only that it has, if that is not its own network', () => {
  const at = (name: string, number: number, networks: string[]) => {
    const host = hostAt(name, `192.168.7.${number}`, { number, networks: ['192.168.7.0/24', ...networks] });
    return { ...host, offer: { ...host.offer, edge: true } };
  };
  const { hosts } = followed(at('a', 2, []), at('b', 3, ['10.130.0.0/16']), at('c', 4, ['10.191.252.0/24']));
  const world = {
    ...{ fleet, hosts: new Map(hosts.map((host) => [host.name, host])), applications: new Map() },
    ...{ networks: new Map(), vms: new Map() },
  };
  const guest = aVm();
  const [free, collides, cut] = ['a', 'b', 'c'].map((name) => networkPartsOf(name, [guest], world));
  expect([free?.edge !== undefined, collides?.edge, cut?.edge]).toEqual([true, undefined, undefined]);
  expect(free?.backbone?.others.map(({ host }) => host)).toEqual(['b']);
  expect([collides?.backbone?.self.edge, cut?.backbone]).toEqual([false, undefined]);
  expect(cut?.router?.closed?.range).toBe('10.128.0.0/10');
  expect(networkPartsOf('b', [], world).backbone).toBeUndefined();
  expect(networkPartsOf('a', [], world).backbone).toBeDefined();
});

test('the address of a controller or a device among the guests’ is a collision as well', () => {
  const host = hostAt('a', '192.168.7.1');
  const own = ['192.168.7.1', '10.128.0.7'];
  const { hosts } = followed({
    ...host,
    offer: { ...host.offer, underlay: { ...host.offer.underlay, own } },
  });
  expect(hosts[0]?.collision).toBe(
    "10.128.0.7, an address of its own, its controller or a fence device, overlaps 10.128.0.0/10, which is the fleet's for guests",
  );
});

test('subnets of an application lie together where there is room', () => {
  const taken = (...ids: readonly (readonly [string, number])[]) =>
    ids.map(([app, number]) => ({ id: `${app}/r${number}`, number }) as NetworkRecord);
  expect(freeNumber('crm', taken(), 100)).toBe(1);
  expect(freeNumber('crm', taken(['crm', 1], ['crm', 3]), 100)).toBe(2);
  expect(freeNumber('shop', taken(['crm', 1]), 100)).toBe(9);
  expect(freeNumber('shop', taken(['crm', 1], ['shop', 9]), 100)).toBe(10);
  expect(freeNumber('crm', taken(['crm', 17], ['shop', 9]), 100)).toBe(18);
  // What an older build gave out one after another stays, and the next one goes where nobody is.
  expect(freeNumber('crm', taken(['crm', 1], ['shop', 2]), 100)).toBe(9);
  expect(freeNumber('c', taken(['a', 1], ['b', 9]), 16)).toBe(2);
  expect(freeNumber('c', taken(['a', 1], ['a', 2], ['b', 3]), 3)).toBeNull();
  expect(subnetsIn('10.128.0.0/10')).toBe(4_095);
  expect(subnetsIn('10.0.0.0/20')).toBe(3);
});

describe('a public address', () => {
  const withOwn = (name: string, address: string, ...held: string[]) => {
    const host = hostAt(name, address, { number: Number(address.split('.').at(-1)) + 1 });
    return {
      ...host,
      offer: { ...host.offer, underlay: { ...host.offer.underlay, own: [address, ...held] } },
    };
  };
  const told = (publicRanges: readonly string[], ...hosts: readonly HostRecord[]) =>
    backboneGoalOf('c', {
      fleet: { ...fleet, devices: ['192.168.7.9', '192.168.7.201'], public: publicRanges },
      hosts: new Map(hosts.map((host) => [host.name, host])),
    } as unknown as World);
  const others = [withOwn('c', '192.168.7.3')];

  test('that goes from one host to another leaves what hosts are told as it is', () => {
    const ranges = ['192.168.7.200-192.168.7.203/24', 'fd00::200/64'];
    const goals = [
      [withOwn('a', '192.168.7.1', '192.168.7.200', 'fd00::200'), withOwn('b', '192.168.7.2')],
      [withOwn('a', '192.168.7.1'), withOwn('b', '192.168.7.2', '192.168.7.200')],
      [withOwn('a', '192.168.7.1'), withOwn('b', '192.168.7.2')],
    ].map((hosts) => told(ranges, ...hosts, ...others));
    expect(goals[0]?.outOfReach).toEqual([
      ...['192.168.7.1', '192.168.7.2', '192.168.7.200/30', '192.168.7.3', '192.168.7.9', 'fd00::200'],
    ]);
    expect(goals[1]).toEqual(goals[0]);
    expect(goals[2]).toEqual(goals[0]);
  });

  test('that is of no range any more is its host’s own', () => {
    const goal = told([], withOwn('a', '192.168.7.1', '192.168.7.200'), ...others);
    expect(goal?.outOfReach).toContain('192.168.7.200');
  });
});
