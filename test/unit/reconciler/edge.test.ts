import { beforeEach, describe, expect, test } from 'vitest';
import type { EdgeReport, VmReport } from '../../../agent/protocol/index.ts';
import type { HostRecord, Machine, Role, VmRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { edgeGoalOf } from '../../../controller/reconciler/edge-goals.ts';
import { hostsConcerned } from '../../../controller/reconciler/hosts-concerned.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { followPublicAddresses } from '../../../controller/reconciler/rules/public-addresses.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { seenAs, servedAs, withEdgeReports } from '../../property/reconciler/served-world.ts';
import { aMachine, anApplication, aRole, AN_INPUT as HTTP } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

let world: PlanningWorld;
/** Open connections of a backend that drains, on every edge host. */
let sessions: number;
/** Backends that edge hosts do not serve yet. */
let unserved: readonly string[];
/** Host → why it cannot serve any endpoint. */
let failing: ReadonlyMap<string, string>;
let say: (vm: VmRecord) => Partial<VmReport>;
let ranges: readonly string[];

const anEdge = (name: string, last: number, labels: Readonly<Record<string, string>> = {}): HostRecord => {
  const host = aHost(name);
  if (!host.offer) throw new Error('it offers nothing');
  const underlay = { address: `192.0.2.${last}`, mtu: 1_500, networks: [] };
  return { ...host, offer: { ...host.offer, labels: { ...labels }, edge: true, underlay } };
};

const declare = (over: Partial<Role> = {}, generation = 1) =>
  world.put('apps/crm', {
    ...world.records.applications.get('crm'),
    ...anApplication('crm', { roles: { web: aRole({ instances: 2, endpoints: { http: HTTP }, ...over }) } }),
    generation,
  });

function edgeReport(host: string, of: World): EdgeReport | undefined {
  const goal = edgeGoalOf(host, of);
  const seen = (name: string) => (unserved.includes(name) ? 'down' : 'up');
  const report = goal && servedAs(goal, ({ name, state }) => seenAs(state, seen(name), sessions));
  const reason = failing.get(host);
  return report && reason !== undefined
    ? { ...report, endpoints: report.endpoints.map((each) => ({ ...each, state: 'failed', reason })) }
    : report;
}

function snapshot(): World {
  const made = world.snapshot();
  const published = { ...made, fleet: { ...made.fleet, public: ranges } };
  return withEdgeReports(published, (host) => edgeReport(host, published));
}

function settle(afterMs = 0): number | null {
  world.pass(afterMs);
  world.letHostsFollow(say);
  for (let passes = 0; passes < 80; passes++) {
    const planned = plan(snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    world.letHostsFollow(say);
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return planned.nextWaitMs;
  }
  throw new Error('the plan does not come to rest');
}

const web = (index: number) => world.records.vms.get(`crm/web-${index}`);
const backends = (host = 'h1') =>
  Object.fromEntries(
    (edgeGoalOf(host, snapshot())?.endpoints[0]?.backends ?? []).map(({ name, state }) => [name, state]),
  );

beforeEach(() => {
  world = new PlanningWorld();
  [sessions, unserved, ranges, failing] = [0, [], [], new Map()];
  say = () => ({});
  for (const [index, name] of ['h1', 'h2', 'h3'].entries()) world.addHost(anEdge(name, index + 1));
});

describe('what edge hosts serve', () => {
  test('each endpoint with its ready instances, at the host’s own address where there are no public ones', () => {
    say = ({ index }) => (index === 1 ? { phase: 'starting' } : {});
    declare();
    settle();
    expect(edgeGoalOf('h2', snapshot())).toEqual({
      addresses: [],
      endpoints: [
        {
          ...{
            id: 'crm/web/http',
            addresses: ['192.0.2.2'],
            port: 80,
            protocol: 'http',
            proxyProtocol: false,
            drainMs: 20_000,
          },
          backends: [{ name: 'web-0.1', address: web(0)?.address, port: 8080, state: 'ready' }],
        },
      ],
    });
    expect(web(0)?.steps.find(({ name }) => name === 'publish')).toMatchObject({ status: 'done' });
    expect(web(1)?.steps.find(({ name }) => name === 'publish')).toMatchObject({ status: 'skipped' });
  });

  test('and it is told when hosts cannot: nothing waits for them, and it is done once they can', () => {
    const publish = (index = 0) => web(index)?.steps.find(({ name }) => name === 'publish');
    const late = 'certificate shop is not there';
    failing = new Map(['h1', 'h2', 'h3'].map((host) => [host, late]));
    declare();
    settle();
    expect(web(0)?.state).toBe('ready');
    expect(publish()).toMatchObject({
      status: 'failed',
      detail: `not on h1, h2, h3: crm/web/http: ${late}`,
    });
    declare({ env: { A: '2' } }, 2);
    settle();
    expect([web(0), web(1)]).toMatchObject([
      { state: 'ready', incarnation: 2 },
      { state: 'ready', incarnation: 2 },
    ]);
    failing = new Map([['h2', 'port 80 is taken']]);
    settle();
    expect(publish()?.detail).toBe('not on h2: crm/web/http: port 80 is taken');
    [failing, unserved] = [new Map(), ['web-0.2']];
    settle();
    expect(publish()).toMatchObject({ status: 'skipped' });
    expect(publish()?.detail).toBeUndefined();
    unserved = [];
    settle();
    expect(publish()).toMatchObject({ status: 'done', detail: 'on h1, h2, h3' });
  });

  test('certificates that the controller keeps by name and digest, and challenges where they are answered', () => {
    declare({ endpoints: { http: HTTP, https: { ...HTTP, port: 443, certificate: 'shop' } } });
    settle();
    const digest = `sha256:${'a'.repeat(64)}`;
    const challenge = { token: 'a'.repeat(43), authorization: `${'a'.repeat(43)}.${'b'.repeat(43)}` };
    world.put('certificates/shop', { name: 'shop', kept: { digest, names: [] } });
    world.put('certificates/other', { name: 'other', kept: { digest, names: [] } });
    world.put('certificates/late', { name: 'late', kept: null });
    world.put(`challenges/${challenge.token}`, { ...challenge, untilMs: world.nowMs + 1_000 });
    expect(edgeGoalOf('h1', snapshot())).toMatchObject({
      certificates: [{ name: 'shop', digest }],
      challenges: [challenge],
    });
    declare({ endpoints: { https: { ...HTTP, port: 443, certificate: 'late' } } }, 2);
    const goal = edgeGoalOf('h1', snapshot());
    expect([goal?.certificates, goal?.challenges]).toEqual([undefined, undefined]);
    expect(settle()).toBeLessThanOrEqual(world.nowMs + 1_000);
    settle(1_000);
    expect(world.records.challenges.size).toBe(0);
  });

  test('another certificate, or challenge, concerns every host that may serve it; how its hook fared nobody', () => {
    const cache = new WorldCache();
    const hostsAfter = (revision: number, key: string, value: unknown) => [
      ...hostsConcerned(cache.apply([{ revision, key, value }]), cache),
    ];
    for (const [index, name] of ['h1', 'h2'].entries())
      cache.apply([{ revision: 1, key: `hosts/${name}`, value: anEdge(name, index + 1) }]);
    const kept = { digest: `sha256:${'a'.repeat(64)}`, names: [] };
    expect(hostsAfter(2, 'certificates/shop', { name: 'shop', kept })).toEqual(['h1', 'h2']);
    expect(hostsAfter(3, 'certificates/shop', { name: 'shop', kept, attempt: { failures: 1 } })).toEqual([]);
    expect(hostsAfter(4, 'certificates/shop', null)).toEqual(['h1', 'h2']);
    expect(hostsAfter(5, 'challenges/x', { token: 'x', authorization: 'x.y', untilMs: 1 })).toEqual([
      'h1',
      'h2',
    ]);
  });

  test('where a host is labelled for it, only those', () => {
    world.addHost(anEdge('h3', 3, { edge: 'true' }));
    declare();
    settle();
    expect([edgeGoalOf('h1', snapshot()), edgeGoalOf('h3', snapshot())?.endpoints.length]).toEqual([
      undefined,
      1,
    ]);
  });

  test('a host that is emptied gives its addresses up to another edge host, and serves on what comes', () => {
    ranges = ['192.0.2.200-192.0.2.203/24'];
    declare();
    settle();
    const goalOf = (host: string) => edgeGoalOf(host, snapshot());
    const put = (host: string, over: Partial<HostRecord>) =>
      world.put(`hosts/${host}`, { ...(world.records.hosts.get(host) as HostRecord), ...over });
    const before = [...world.records.hosts.keys()].map(goalOf);
    expect(before[0]?.addresses).toHaveLength(1);
    put('h1', { draining: true });
    expect(goalOf('h1')).toEqual({ ...before[0], addresses: [] });
    // All others listen to it until it has given them up.
    expect(goalOf('h2')).toEqual(before[1]);
    for (const host of world.records.hosts.keys()) if (host !== 'h1') put(host, { state: 'down' });
    expect(goalOf('h1')?.addresses).toEqual(before[0]?.addresses);
    put('h2', { state: 'suspect' });
    expect(goalOf('h1')?.addresses).toEqual([]);
    put('h1', { draining: false });
    expect(goalOf('h1')?.addresses).toEqual(before[0]?.addresses);
  });

  test('at an address of the public ranges, which is kept while it is in them, and given back with the application', () => {
    ranges = ['192.0.2.200-192.0.2.201/24'];
    declare();
    settle();
    expect(world.records.applications.get('crm')?.public).toEqual({
      address: '192.0.2.200',
      prefix: 24,
      routerId: 1,
    });
    const { addresses, endpoints } = edgeGoalOf('h1', snapshot()) ?? { addresses: [], endpoints: [] };
    expect(addresses).toEqual([
      { address: '192.0.2.200', prefix: 24, routerId: 1, priority: 199, peers: ['192.0.2.2', '192.0.2.3'] },
    ]);
    expect(endpoints[0]?.addresses).toEqual(['192.0.2.200']);
    world.put('apps/shop', anApplication('shop', { roles: { web: aRole({ endpoints: { http: HTTP } }) } }));
    settle();
    expect(world.records.applications.get('shop')?.public?.address).toBe('192.0.2.201');
    ranges = ['192.0.2.201-192.0.2.202/24'];
    settle();
    expect(world.records.applications.get('crm')?.public).toMatchObject({ address: '192.0.2.202' });
    expect(world.records.applications.get('shop')?.public).toMatchObject({ address: '192.0.2.201' });
    ranges = [];
    settle();
    expect(world.records.applications.get('crm')?.public).toBeUndefined();
  });
});

test('no application gets an address that a host or a device has, and one that has where a host is now gets another', () => {
  const [first] = [world.records.hosts.get('h1')];
  if (!first?.offer?.underlay) throw new TypeError('it has an underlay');
  const own = ['192.0.2.1', '192.0.2.4'];
  world.put('hosts/h1', { ...first, offer: { ...first.offer, underlay: { ...first.offer.underlay, own } } });
  ranges = ['192.0.2.1-192.0.2.9/24'];
  declare();
  settle();
  const address = () => world.records.applications.get('crm')?.public?.address;
  expect(address()).toBe('192.0.2.5');
  // Its own is seen on the host that has it now.
  const has = (host: string, at: string) => {
    const record = world.records.hosts.get(host);
    if (!record?.offer?.underlay) throw new TypeError('it has an underlay');
    world.put(`hosts/${host}`, {
      ...record,
      offer: { ...record.offer, underlay: { ...record.offer.underlay, address: at, own: [at, '192.0.2.5'] } },
    });
  };
  has('h2', '192.0.2.2');
  settle();
  expect(address()).toBe('192.0.2.5');
  has('h2', '192.0.2.5');
  settle();
  expect(address()).toBe('192.0.2.2');
});

describe('a public machine', () => {
  const ssh = { type: 'input', protocol: 'tcp', port: 22, targetPort: 22, from: [] } as const;
  const publicDb = aMachine({ public: true, endpoints: { ssh } });
  const put = (machines: Readonly<Record<string, Machine>>, generation = 1) =>
    world.put('apps/crm', {
      ...world.records.applications.get('crm'),
      ...anApplication('crm', { roles: { web: aRole({ endpoints: { http: HTTP } }) }, machines }),
      generation,
    });
  const served = () => {
    const { addresses = [], endpoints = [] } = edgeGoalOf('h1', snapshot()) ?? {};
    return [
      addresses.map(({ address, routerId }) => `${address} ${routerId}`),
      endpoints.map((each) => `${each.id} ${each.addresses}`),
    ];
  };

  /** This rule alone. */
  const follow = () => {
    const draft = new Draft(snapshot(), world.nowMs);
    followPublicAddresses(draft);
    for (const { key, value } of draft.writes().puts) world.put(key, value);
  };

  test('has an address of its own, where its endpoints and no others are served', () => {
    ranges = ['192.0.2.200-192.0.2.209/24'];
    put({ db: publicDb });
    settle();
    expect(served()).toEqual([
      ['192.0.2.200 1', '192.0.2.201 2'],
      ['crm/db/ssh 192.0.2.201', 'crm/web/http 192.0.2.200'],
    ]);
  });

  test('keeps it until nothing of it is left, and nobody else has it before', () => {
    ranges = ['192.0.2.200-192.0.2.201/24'];
    put({ db: publicDb });
    settle();
    put({}, 2);
    world.put('apps/shop', anApplication('shop', { roles: { web: aRole({ endpoints: { http: HTTP } }) } }));
    follow();
    expect(world.records.vms.has('crm/db')).toBe(true);
    expect(world.records.applications.get('crm')?.publicMachines?.db?.address).toBe('192.0.2.201');
    expect(world.records.applications.get('shop')?.public).toBeUndefined();
    expect(served()[0]).toEqual(['192.0.2.200 1']);
    world.records.vms.delete('crm/db');
    const atMs = world.nowMs;
    world.put('tombstones/crm/db', { id: 'crm/db', host: 'h1', upToIncarnation: 1, atMs });
    follow();
    expect(world.records.applications.get('shop')?.public).toBeUndefined();
    world.records.tombstones.delete('crm/db');
    // What was given up in one pass is given to others in the next one.
    for (const _pass of ['given up', 'given']) follow();
    expect(world.records.applications.get('crm')?.publicMachines).toBeUndefined();
    expect(world.records.applications.get('shop')?.public?.address).toBe('192.0.2.201');
  });

  test('is served at edge hosts’ own addresses where the fleet has no public ones, or none that is free', () => {
    put({ db: publicDb });
    settle();
    expect(served()).toEqual([[], ['crm/db/ssh 192.0.2.1', 'crm/web/http 192.0.2.1']]);
    ranges = ['192.0.2.200/24'];
    settle();
    expect(served()).toEqual([['192.0.2.200 1'], ['crm/db/ssh 192.0.2.1', 'crm/web/http 192.0.2.200']]);
  });
});

test('with ranges of both families each has an address of both, and one virtual router', () => {
  ranges = ['2001:db8::2ff-2001:db8::300/64', '192.0.2.200-192.0.2.209/24'];
  declare();
  settle();
  const before = world.records.applications.get('crm')?.public;
  expect(before).toEqual({
    ...{ address: '192.0.2.200', prefix: 24, routerId: 1 },
    address6: { address: '2001:db8::2ff', prefix: 64 },
  });
  expect(edgeGoalOf('h1', snapshot())?.endpoints[0]?.addresses).toEqual(['192.0.2.200', '2001:db8::2ff']);
  ranges = ['192.0.2.200-192.0.2.209/24'];
  settle();
  expect(world.records.applications.get('crm')?.public).toEqual({
    ...{ address: '192.0.2.200', prefix: 24, routerId: 1 },
  });
});

describe('an instance that is about to go', () => {
  test('drains when it is scaled in, and goes when no connection to it is open', () => {
    declare();
    settle();
    sessions = 1;
    declare({ instances: 1 }, 2);
    expect(settle()).toBe(world.nowMs + 20_000);
    expect(web(1)).toMatchObject({ state: 'draining', deleting: false, power: 'running' });
    expect(backends()).toEqual({ 'web-0.1': 'ready', 'web-1.1': 'draining' });
    sessions = 0;
    settle();
    expect(web(1)).toBeUndefined();
    expect(backends()).toEqual({ 'web-0.1': 'ready' });
  });

  test('goes after its time whatever is open, and at once when it is not ready or nobody serves it', () => {
    declare();
    settle();
    sessions = 1;
    declare({ instances: 1 }, 2);
    settle();
    settle(19_999);
    expect(web(1)?.state).toBe('draining');
    settle(1);
    expect(web(1)).toBeUndefined();
    say = () => ({ phase: 'unready' });
    settle();
    declare({ instances: 0 }, 3);
    settle();
    expect(web(0)).toBeUndefined();
  });

  test('gets connections again when it is not to go any more', () => {
    declare();
    settle();
    sessions = 1;
    declare({ instances: 1 }, 2);
    settle();
    declare({ instances: 2 }, 3);
    settle();
    expect(web(1)).toMatchObject({ state: 'ready', drain: null });
    expect(backends()).toEqual({ 'web-0.1': 'ready', 'web-1.1': 'ready' });
  });

  test('of a role that rolls goes on until its successor is served, then drains, and is followed', () => {
    declare();
    settle();
    const incarnation = () => web(0)?.incarnation;
    [unserved, sessions] = [['web-0.2'], 1];
    declare({ env: { A: '2' } }, 2);
    settle();
    expect(backends()).toEqual({ 'web-0.1': 'ready', 'web-0.2': 'ready', 'web-1.1': 'ready' });
    expect(incarnation()).toBe(1);
    unserved = [];
    settle();
    expect(web(0)).toMatchObject({ state: 'draining', incarnation: 1 });
    expect(backends()).toEqual({ 'web-0.1': 'draining', 'web-0.2': 'ready', 'web-1.1': 'ready' });
    sessions = 0;
    settle();
    expect(web(0)).toMatchObject({ state: 'ready', incarnation: 2, drain: null });
    expect(web(1)).toMatchObject({ state: 'ready', incarnation: 2 });
    expect(backends()).toEqual({ 'web-0.2': 'ready', 'web-1.2': 'ready' });
  });

  test('is not waited for by a successor that no edge host ever serves', () => {
    declare();
    settle();
    unserved = ['web-0.2', 'web-1.2'];
    declare({ env: { A: '2' } }, 2);
    settle();
    expect(web(0)?.incarnation).toBe(1);
    settle(10_000);
    expect(web(0)?.incarnation).toBe(2);
  });

  test('of a host that is drained is followed the same way', () => {
    declare();
    settle();
    sessions = 1;
    const host = String(web(0)?.host);
    const record = world.records.hosts.get(host);
    world.put(`hosts/${host}`, {
      ...record,
      draining: true,
      drain: { atMs: world.nowMs, by: 'ann', cold: false, vms: 1 },
    });
    settle();
    expect(web(0)).toMatchObject({ state: 'draining', host });
    settle(20_000);
    expect(web(0)).toMatchObject({ state: 'ready', incarnation: 2 });
    expect(web(0)?.host).not.toBe(host);
  });

  test('is made anew at once when its host is lost meanwhile', () => {
    declare();
    settle();
    sessions = 1;
    declare({ env: { A: '2' } }, 2);
    settle();
    expect(web(0)?.state).toBe('draining');
    const host = String(web(0)?.host);
    world.silence(host);
    settle(5_000);
    settle(60_000);
    for (const index of [0, 1])
      expect(web(index)).toMatchObject({ state: 'ready', incarnation: expect.any(Number) });
    expect(web(0)?.host).not.toBe(host);
  });
});
