import { expect, test } from 'vitest';
import type { UnderlayOffer } from '../../../agent/protocol/index.ts';
import { readConfiguration } from '../../../controller/configuration.ts';
import type { FleetRecord, HostRecord } from '../../../controller/model/records.ts';
import { networkView } from '../../../controller/network/view.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { backboneGoalOf } from '../../../controller/reconciler/backbone-goals.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { edgeHosts } from '../../../controller/reconciler/edge-hosts.ts';
import { followHostNetworks } from '../../../controller/reconciler/rules/host-networks.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { candidateOf } from '../../../controller/scheduler/candidates.ts';
import { hostState } from '../../../controller/scheduler/filters/host-state.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';

type Said = UnderlayOffer['encryption'];
const keyOf = (letter: string): string => `${letter.repeat(42)}A=`;
const can = (letter: string): Said => ({ publicKey: keyOf(letter), problem: null });
const cannot: Said = { publicKey: null, problem: 'its kernel has no WireGuard' };
const fleetOf = (encrypt?: FleetRecord['encrypt']): FleetRecord => ({
  ...{ uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
  ...(encrypt ? { encrypt } : {}),
});

function hostAt(name: string, last: number, encryption: Said, more: Partial<HostRecord> = {}): HostRecord {
  const host = aHost(name, { edgeAt: `192.0.2.${last}` }, { number: last, ...more });
  const { offer } = host;
  if (!offer?.underlay) throw new TypeError('it is on an underlay');
  return { ...host, offer: { ...offer, underlay: { ...offer.underlay, ...(encryption && { encryption }) } } };
}

/** The first two can, the third cannot, and the agent of the fourth is older than that. */
const ALL = [
  hostAt('a', 2, can('a')),
  hostAt('b', 3, can('b')),
  hostAt('c', 4, cannot),
  hostAt('d', 5, undefined),
];

function worldOf(fleet: FleetRecord, hosts: readonly HostRecord[] = ALL) {
  const nothing = { applications: new Map(), networks: new Map(), vms: new Map() };
  return { fleet, hosts: new Map(hosts.map((host) => [host.name, host])), ...nothing };
}

function passed(fleet: FleetRecord, hosts: readonly HostRecord[], told: ReadonlySet<string>) {
  const heard = { connected: true, acknowledged: new Set() };
  const live = new Map(hosts.map(({ name }) => [name, told.has(name) ? heard : null]));
  const draft = new Draft({ ...worldOf(fleet, hosts), live } as unknown as World, 1);
  followHostNetworks(draft);
  return { hosts: draft.all('hosts'), events: draft.writes().events, changes: draft.changes };
}

/** As it is said of hosts once they have heard of it. */
function followed(fleet: FleetRecord, hosts: readonly HostRecord[] = ALL) {
  const all = new Set(hosts.map(({ name }) => name));
  const first = passed(fleet, hosts, all);
  const second = passed(fleet, first.hosts, all);
  return {
    hosts: second.hosts,
    events: [...first.events, ...second.events],
    changes: first.changes + second.changes,
  };
}

const keysFor = (host: string, fleet: FleetRecord) =>
  backboneGoalOf(host, worldOf(fleet))?.others.map((other) => [other.host, other.publicKey]);

test('nobody is encrypted with unless it is asked for', () => {
  const goal = backboneGoalOf('a', worldOf(fleetOf()));
  expect(goal?.tunnel).toBeUndefined();
  expect(goal?.mtu).toBe(1_450);
  expect(goal?.others.every(({ publicKey }) => publicKey === undefined)).toBe(true);
});

test('where it is preferred, hosts that both can are given each other’s keys, and the others go on in the open', () => {
  const fleet = fleetOf('prefer');
  expect(keysFor('a', fleet)).toEqual([
    ['b', keyOf('b')],
    ['c', undefined],
    ['d', undefined],
  ]);
  expect(keysFor('c', fleet)).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['d', undefined],
  ]);
  const goal = backboneGoalOf('a', worldOf(fleet));
  expect(goal).toMatchObject({ mtu: 1_390, tunnel: { port: 51_821, mtu: 1_440 } });
  const plain = backboneGoalOf('d', worldOf(fleet));
  expect(plain?.mtu).toBe(1_390);
  expect(plain?.tunnel).toBeUndefined();
});

test('where it is required, a host that cannot has no others, and its address is still out of guests’ reach', () => {
  const fleet = fleetOf('require');
  expect(keysFor('a', fleet)).toEqual([['b', keyOf('b')]]);
  for (const host of ['c', 'd']) {
    const goal = backboneGoalOf(host, worldOf(fleet));
    expect(goal?.others).toEqual([]);
    expect(goal?.self.host).toBe(host);
  }
  expect(backboneGoalOf('a', worldOf(fleet))?.outOfReach).toEqual(
    expect.arrayContaining(['192.0.2.4', '192.0.2.5']),
  );
});

test('over IPv6 the tunnel takes more', () => {
  const six = ALL.map((host) => {
    const { offer } = host;
    const underlay = offer?.underlay && { ...offer.underlay, address: `2001:db8::${host.number}` };
    return { ...host, offer: offer && { ...offer, ...(underlay && { underlay }) } };
  });
  expect(backboneGoalOf('a', worldOf(fleetOf('prefer'), six))).toMatchObject({
    ...{ mtu: 1_350, tunnel: { port: 51_821, mtu: 1_420 } },
  });
});

test('what a host cannot is said of it, once, and until it can or nobody asks', () => {
  const { hosts, events } = followed(fleetOf('prefer'));
  expect(hosts.map(({ encryption }) => encryption)).toEqual([
    { state: 'encrypted', problem: null },
    { state: 'encrypted', problem: null },
    { state: 'open', problem: 'its kernel has no WireGuard' },
    { state: 'open', problem: 'its agent is older than that' },
  ]);
  expect(events.map(({ kind, subject }) => [kind, subject])).toEqual([
    ['host-unencrypted', 'c'],
    ['host-unencrypted', 'd'],
    // Once they have heard of it.
    ['host-encrypted', 'a'],
    ['host-encrypted', 'b'],
  ]);
  expect(followed(fleetOf('prefer'), hosts).changes).toBe(0);
  const mended = hosts.map((host) =>
    host.name === 'c' ? { ...hostAt('c', 4, can('c')), encryption: host.encryption ?? null } : host,
  );
  expect(followed(fleetOf('prefer'), mended).events.map(({ kind }) => kind)).toEqual(['host-encrypted']);
  const off = followed(fleetOf(), hosts);
  expect(off.hosts.map(({ encryption }) => encryption)).toEqual([null, null, null, null]);
});

test('a host goes on as it was until its agent has heard of what was changed, and it is said so', () => {
  const untold = { state: 'untold', problem: 'its agent has not yet heard of what was changed' };
  const sealed = { state: 'encrypted', problem: null };
  const both = ALL.slice(0, 2);
  const all = new Set(['a', 'b']);
  const said = ({ hosts }: ReturnType<typeof passed>) => hosts.map(({ encryption }) => encryption ?? null);
  for (const mode of ['prefer', 'require'] as const) {
    const first = passed(fleetOf(mode), both, all);
    expect(said(first)).toEqual([untold, untold]);
    expect(first.events).toEqual([]);
    const second = passed(fleetOf(mode), first.hosts, new Set(['a']));
    expect(said(second)).toEqual([sealed, untold]);
    const third = passed(fleetOf(mode), second.hosts, all);
    expect(said(third)).toEqual([sealed, sealed]);
    // What changes no way needs no telling; what does, also back.
    expect(said(passed(fleetOf('require'), third.hosts, new Set()))).toEqual([sealed, sealed]);
    const off = passed(fleetOf(), third.hosts, new Set());
    expect(said(off)).toEqual([untold, untold]);
    expect(said(passed(fleetOf(), off.hosts, new Set(['b'])))).toEqual([untold, null]);
    expect(said(passed(fleetOf(), off.hosts, all))).toEqual([null, null]);
  }
});

test('a host whose tunnel does not stand is named, and nothing goes to it in the open', () => {
  const broken = { publicKey: keyOf('b'), problem: 'its port is taken' };
  const all = [hostAt('a', 2, can('a')), hostAt('b', 3, broken)];
  const { hosts, events } = followed(fleetOf('prefer'), all);
  expect(hosts[1]?.encryption).toEqual({ state: 'broken', problem: 'its port is taken' });
  expect(events[0]?.message).toContain('its port is taken');
  expect(backboneGoalOf('a', worldOf(fleetOf('prefer'), hosts))?.others[0]?.publicKey).toBe(keyOf('b'));
});

test('a key that two hosts have is nobody’s', () => {
  const { hosts } = followed(fleetOf('prefer'), [hostAt('a', 2, can('x')), hostAt('b', 3, can('x'))]);
  expect(hosts.map(({ encryption }) => encryption?.problem)).toEqual([
    expect.stringContaining('its key is that of b too'),
    expect.stringContaining('its key is that of a too'),
  ]);
  expect(backboneGoalOf('a', worldOf(fleetOf('require'), hosts))?.others).toEqual([]);
});

test('where it is required, a host that cannot takes nothing new and serves nobody', () => {
  const { hosts } = followed(fleetOf('require'));
  const load = (host: HostRecord) => ({ host: candidateOf(host) }) as never;
  const accepted = hosts.filter((host) => hostState.accepts({ only: null } as never, load(host)));
  expect(accepted.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(hostState.reason({ only: null } as never, load(hosts[2] as HostRecord))).toBe(
    'what goes between hosts has to be encrypted, and its kernel has no WireGuard',
  );
  expect([...edgeHosts(hosts)]).toEqual(['a', 'b']);
  const preferred = followed(fleetOf('prefer')).hosts;
  expect(preferred.every((host) => hostState.accepts({ only: null } as never, load(host)))).toBe(true);
  expect(edgeHosts(preferred).size).toBe(4);
});

test('who asks about a connection is told that it may not go', () => {
  const { hosts } = followed(fleetOf('require'));
  const guest = (name: string, host: string) => [
    `crm/${name}`,
    {
      id: `crm/${name}`,
      app: 'crm',
      role: name.split('-')[0],
      index: 0,
      host,
      networkId: 'crm/web',
      address: '10.128.0.10',
      state: 'ready',
    },
  ];
  const role = (endpoints: unknown, from = {}) => ({ endpoints, ...from });
  const application = {
    name: 'crm',
    service: {
      roles: {
        web: role({}),
        db: role({ sql: { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } }),
      },
      machines: {},
    },
  };
  const world = (
    dbOn: string,
    all: readonly HostRecord[] = hosts,
    mode: Parameters<typeof fleetOf>[0] = 'require',
  ) =>
    ({
      ...worldOf(fleetOf(mode), all),
      applications: new Map([['crm', application]]),
      vms: new Map([guest('web-0', 'a'), guest('db-0', dbOn)] as never),
    }) as never;
  const question = { from: 'crm/web-0', to: 'crm/db-0', port: 5432, protocol: 'tcp' as const };
  expect(whyOf(question, world('b')).allowed).toBe(true);
  expect(whyOf(question, world('c'))).toMatchObject({
    ...{ allowed: false, rule: 'crm/db/sql' },
    reason: 'what goes to or from c would go unencrypted, which it may not: its kernel has no WireGuard',
  });
  // Neither does it go where a tunnel should be and is none; with who has none to be, it goes on.
  const broken = { publicKey: keyOf('b'), problem: 'its port is taken' };
  for (const [mode, db, allowed] of [
    ['require', 'b', false],
    ['prefer', 'b', false],
    ['prefer', 'c', true],
  ] as const) {
    const { hosts: standing } = followed(fleetOf(mode), [
      hostAt('a', 2, broken),
      hostAt('b', 3, can('c')),
      hostAt('c', 4, cannot),
    ]);
    const answer = whyOf(question, world(db, standing, mode));
    expect([mode, db, answer.allowed]).toEqual([mode, db, allowed]);
    if (!allowed)
      expect(answer.reason).toContain(
        'to or from a would go unencrypted, which it may not: its port is taken',
      );
  }
  expect(networkView('crm', world('b'))?.encryption).toEqual({
    mode: 'require',
    exceptions: [
      { host: 'c', state: 'alone', problem: 'its kernel has no WireGuard' },
      { host: 'd', state: 'alone', problem: 'its agent is older than that' },
    ],
  });
});

test('--encrypt is off, prefer or require', () => {
  expect(readConfiguration([])?.encrypt).toBe('off');
  expect(readConfiguration(['--encrypt', 'require'])?.encrypt).toBe('require');
  expect(() => readConfiguration(['--encrypt', 'on'])).toThrow(/--encrypt on is not off, prefer or require/);
});
