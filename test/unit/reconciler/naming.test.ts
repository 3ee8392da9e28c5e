import { beforeEach, describe, expect, test } from 'vitest';
import type { EdgeReport, Step, VmReport } from '../../../agent/protocol/index.ts';
import { digestOfNames } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { zoneFor } from '../../../controller/reconciler/names-goals.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { SentZones } from '../../../controller/reconciler/sent-zones.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { withEdgeReports } from '../../property/reconciler/served-world.ts';
import { anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

let world: PlanningWorld;
let zones: SentZones;
/** What each name server says; undefined: nothing. */
let said: Map<string, { readonly names: EdgeReport['names']; readonly missing?: string[] }>;
let say: (vm: VmRecord) => Partial<VmReport>;

function anEdge(name: string, last: number): HostRecord {
  const host = aHost(name);
  const underlay = { address: `192.0.2.${last}`, mtu: 1_500, networks: [] };
  return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay } };
}

const declare = (instances: number, generation = 1) =>
  world.put('apps/crm', {
    ...world.records.applications.get('crm'),
    ...anApplication('crm', { roles: { web: aRole({ instances }) } }),
    generation,
  });

function snapshot(): World {
  const made = withEdgeReports(world.snapshot(), (host) => {
    const told = said.get(host);
    return told && { endpoints: [], held: [], missing: told.missing ?? [], names: told.names };
  });
  return { ...made, zones };
}

/** Until a plan writes nothing more. @returns what name servers are to serve then; it was sent. */
function settle(afterMs = 0): NonNullable<EdgeReport['names']> {
  world.pass(afterMs);
  world.letHostsFollow(say);
  for (let passes = 0; passes < 80; passes++) {
    const planned = plan(snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    world.letHostsFollow(say);
    const zone = zoneFor(snapshot());
    zones.note(zone);
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0)
      return { state: 'served', serial: 1, digest: digestOfNames(zone) };
  }
  throw new Error('the plan does not come to rest');
}

const vm = (index: number) => world.records.vms.get(`crm/web-${index}`);
const named = (index: number): Step | undefined => vm(index)?.steps.find(({ name }) => name === 'name');

beforeEach(() => {
  world = new PlanningWorld();
  [zones, said, say] = [new SentZones(), new Map(), () => ({})];
  for (const name of ['h1', 'h2', 'h3']) world.addHost(aHost(name));
});

describe('a VM', () => {
  test('has no name where no host serves any, until one does', () => {
    declare(1);
    const names = settle();
    expect(named(0)).toMatchObject({ status: 'skipped' });
    world.addHost(anEdge('h3', 3));
    settle();
    expect(named(0)?.status).toBe('running');
    said.set('h3', { names: settle() });
    settle();
    expect(named(0)?.status).toBe('done');
    expect(names).toEqual(said.get('h3')?.names);
  });

  test('has it when each name server that is up serves it, and is ready long before that', () => {
    for (const [index, name] of ['h1', 'h2', 'h3'].entries()) world.addHost(anEdge(name, index + 1));
    declare(1);
    const names = settle();
    said.set('h1', { names });
    settle();
    expect(vm(0)?.state).toBe('ready');
    expect(named(0)).toMatchObject({ status: 'running', startedAtMs: 1_000_000 });
    said.set('h2', { names });
    settle();
    expect(named(0)?.status).toBe('running');
    const h3 = world.records.hosts.get('h3');
    world.silence('h3');
    if (h3) world.addHost({ ...h3, state: 'down' });
    settle(40);
    expect(named(0)).toMatchObject({ status: 'done', startedAtMs: 1_000_000, ms: 40, detail: 'on h1, h2' });
  });

  test('has it before it is ready', () => {
    world.addHost(anEdge('h1', 1));
    say = () => ({ phase: 'starting' });
    declare(1);
    said.set('h1', { names: settle() });
    settle();
    expect(vm(0)?.state).toBe('starting');
    expect(named(0)?.status).toBe('done');
  });

  test('counts as named by a zone that is behind the newest, where that has it', () => {
    world.addHost(anEdge('h1', 1));
    declare(1);
    const first = settle();
    declare(2, 2);
    settle();
    said.set('h1', { names: first });
    settle();
    expect([named(0)?.status, named(1)?.status]).toEqual(['done', 'running']);
  });

  test('is not named by a zone that nobody sent, or by a server that failed', () => {
    world.addHost(anEdge('h1', 1));
    declare(1);
    settle();
    for (const names of [
      { state: 'served', digest: `sha256:${'0'.repeat(64)}` },
      { state: 'failed', reason: 'no' },
    ] as const) {
      said.set('h1', { names });
      settle();
      expect(named(0)?.status).toBe('running');
    }
  });

  test('is not judged by an older agent, which does not say what it serves: only by the others', () => {
    for (const [index, name] of ['h1', 'h2'].entries()) world.addHost(anEdge(name, index + 1));
    declare(1);
    const names = settle();
    said.set('h1', { names: { state: 'served' } });
    settle();
    expect(named(0)?.status).toBe('running');
    said.set('h2', { names: { state: 'served' } });
    settle();
    expect(named(0)).toMatchObject({
      status: 'skipped',
      detail: 'older agents do not say which names they serve: h1, h2',
    });
    said.set('h2', { names });
    settle();
    expect(named(0)).toMatchObject({ status: 'done', detail: 'on h2' });
  });

  test('whose record name servers leave out has none, and is in no other’s way', () => {
    world.addHost(anEdge('h1', 1));
    declare(1);
    const long = `w${'x'.repeat(70)}`;
    world.put('apps/shop', anApplication('shop', { roles: { [long]: aRole() } }));
    settle();
    const zone = zoneFor(snapshot());
    const good = zone.records.filter(({ name }) => !name.includes(long));
    expect(good.length).toBeLessThan(zone.records.length);
    said.set('h1', {
      names: { state: 'served', digest: digestOfNames({ ...zone, records: good }), reason: 'left out: …' },
    });
    settle();
    expect(named(0)?.status).toBe('done');
    const steps = world.records.vms.get(`shop/${long}-0`)?.steps;
    expect(steps?.find(({ name }) => name === 'name')).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^left out: wxxx.* is no name of DNS/),
    });
  });

  test('does not wait for a host that has no name server, and waits for nobody where none has', () => {
    for (const [index, name] of ['h1', 'h2'].entries()) world.addHost(anEdge(name, index + 1));
    declare(1);
    const without = {
      names: { state: 'failed', reason: 'this host has no knotd' },
      missing: ['knotd'],
    } as const;
    const lacking = { ...without, missing: [...without.missing] };
    const names = settle();
    said.set('h1', lacking);
    said.set('h2', lacking);
    settle();
    expect(named(0)?.status).toBe('skipped');
    said.set('h2', { names });
    settle();
    expect(named(0)).toMatchObject({ status: 'done', detail: 'on h2' });
  });

  test('is named anew at another address', () => {
    world.addHost(anEdge('h1', 1));
    declare(1);
    const names = settle();
    said.set('h1', { names });
    settle();
    world.put('vms/crm/web-0', {
      ...vm(0),
      address: '10.128.0.99',
      steps: [{ name: 'name', status: 'skipped', startedAtMs: 1, ms: 0 }],
    });
    const next = settle();
    expect(named(0)?.status).toBe('running');
    said.set('h1', { names: next });
    settle();
    expect(named(0)?.status).toBe('done');
  });
});

describe('the zones that were sent', () => {
  const A = { name: 'a', type: 'A', data: '10.128.0.10' } as const;
  const B = { name: 'b', type: 'A', data: '10.128.0.11' } as const;
  const zone = (...records: (typeof A | typeof B)[]) => ({ zone: 'weft.internal', ttlSeconds: 5, records });
  const has = (one: ReturnType<typeof zone>, record: typeof A | typeof B) =>
    zones.hasAll(digestOfNames(one), [record]);

  test('have what came with them or before, and nothing that is gone or came again later', () => {
    zones.note(zone(A));
    zones.note(zone(B));
    expect([has(zone(A), A), has(zone(B), A), has(zone(B), B)]).toEqual([false, false, true]);
    zones.note(zone(A, B));
    expect([has(zone(B), A), has(zone(A, B), A), has(zone(B), B)]).toEqual([false, true, true]);
    // The same as an older one: who serves that serves this.
    expect(has(zone(A), A)).toBe(false);
    zones.note(zone(A));
    expect(has(zone(A), A)).toBe(true);
  });

  test('are forgotten when they are old', () => {
    const A2 = (index: number) => zone(A, { ...B, data: `10.128.${index >> 8}.${index & 255}` } as typeof B);
    for (let index = 0; index < 1_030; index++) zones.note(A2(index));
    expect([has(A2(0), A), has(A2(10), A)]).toEqual([false, true]);
  });
});
