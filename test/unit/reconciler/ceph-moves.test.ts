import { beforeEach, describe, expect, test } from 'vitest';
import {
  MIGRATES_CEPH,
  MIGRATES_LIVE,
  type MigrationReport,
  PROVES_STOPS,
  type VmReport,
} from '../../../agent/protocol/index.ts';
import type { FencingRecord, HostRecord, StorageFence, VmRecord } from '../../../controller/model/index.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { RBD_POOL } from '../../simulation/support/shared-pool.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

const CEPH = { pools: [{ ...RBD_POOL, sizeMiB: 102_400 }] };
const FILES = {
  ...{ disk: 'rbd:vms/machine.crm.db', seed: null, console: '/run/console.log' },
  ceph: { conf: '/etc/ceph/ceph.conf', user: 'weft' },
};
/** A migration that went through, as each host says so. */
const GONE = { state: 'idle', guest: 'absent', gone: true } as Word;
const LANDED = { guest: 'paused', landed: true } as Word;
type Word = Partial<MigrationReport>;

let world: PlanningWorld;
let events: string[];
let told: string[];
/** What each host says of the hand-over; null: nothing. */
let said: Record<string, Word | null>;
let phase: VmReport['phase'];
let lifts: readonly string[];

beforeEach(() => {
  world = new PlanningWorld();
  world.capabilities = [PROVES_STOPS, MIGRATES_LIVE, MIGRATES_CEPH];
  events = [];
  told = [];
  said = {};
  phase = 'ready';
  world.sayOfMigrations = (host) => {
    const word = said[host];
    const { successor, id } = world.records.vms.get('crm/db') ?? {};
    if (!word || !successor) return [];
    const role = host === successor.host ? 'in' : 'out';
    const order = successor.live?.state === 'stopping' ? 'stop' : 'move';
    const common = { id, incarnation: successor.incarnation, guest: 'absent' };
    const own = role === 'in' ? { state: 'ready', files: FILES } : { order, resume: successor.live?.resume };
    return [{ role, ...common, ...own, ...word } as MigrationReport];
  };
  world.addHost(aHost('h1', CEPH));
  world.put(
    'apps/crm',
    anApplication('crm', { roles: {}, machines: { db: aMachine({ pool: RBD_POOL.name }) } }),
  );
  settle();
  world.addHost(aHost('h2', CEPH));
});

const vm = (): VmRecord => {
  const found = world.records.vms.get('crm/db');
  if (!found) throw new Error('it is not there');
  return found;
};
const host = (name: string) => world.records.hosts.get(name) as HostRecord;
const change = (patch: Partial<VmRecord>) => world.put('vms/crm/db', { ...vm(), ...patch });
const live = () => vm().successor?.live;
const goal = (name: string) => {
  const here = [...world.records.vms.values()].filter((each) => each.host === name);
  return goalOf(name, here, () => ({}), world.snapshot());
};

function settle(): void {
  for (let passes = 0; passes < 60; passes++) {
    world.letHostsFollow(({ power }) => (power === 'stopped' ? {} : { phase }));
    const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    events.push(...planned.events.map(({ kind }) => kind));
    told.push(...planned.events.map(({ message }) => message));
    lifts = (planned.lift ?? []).map((each) => each.host);
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return;
  }
  throw new Error('the plan does not come to rest');
}

/** Asked to move, made ready for, and on its way. */
function underWay(): void {
  change({ moveTo: '*', moveMode: 'auto' });
  said = { h1: { state: 'working', guest: 'running' }, h2: {} };
  settle();
  expect(live()).toMatchObject({ state: 'moving', standsStill: true });
}

/** It is shut out of Ceph, as a fence of the death that it is in, or was in, says. */
function shutOut(name: string): void {
  const fence: StorageFence = {
    device: { agent: 'fence_ceph_blocklist', options: { addresses: '10.0.0.1' }, secret: 'ceph' },
    downSinceMs: host(name).stateSinceMs,
    pools: [RBD_POOL.id],
    proof: { kind: 'storage-fence', host: name, atMs: world.nowMs, detail: 'shut out' },
  };
  const record: FencingRecord = {
    ...{ host: name, downSinceMs: fence.downSinceMs, attempts: [], tried: 1, proof: null },
    storage: [fence],
  };
  world.put(`fencing/${name}`, record);
}

function goesDown(name: string): void {
  world.silence(name);
  world.pass(10_000);
  settle();
  expect(host(name).state).toBe('down');
}

describe('a machine whose disk is in Ceph moves while it runs', () => {
  test('and stands still there until its record says that it is there; how long is told when it is ready', () => {
    underWay();
    expect(goal('h2').incoming).toMatchObject([{ from: 'h1', standsStill: true }]);
    expect(goal('h1').outgoing).toMatchObject([{ order: 'move', standsStill: true, files: FILES }]);
    said.h2 = LANDED;
    settle();
    // libvirt here may still let it run on.
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1 });
    phase = 'starting';
    said.h1 = GONE;
    settle();
    expect(vm()).toMatchObject({ host: 'h2', incarnation: 2, successor: null, landing: 2 });
    expect(vm().copiedFrom ?? null).toBeNull();
    expect(events).not.toContain('vm-migrated');
    phase = 'ready';
    settle();
    expect(vm()).toMatchObject({ state: 'ready', landing: null, lastMove: { from: 'h1', to: 'h2' } });
    expect(events.filter((kind) => kind === 'vm-migrated')).toHaveLength(1);
    expect(events).not.toContain('vm-moves-cold');
  });

  test('and is here as long as it was not decided, whatever comes there: no death over there has to be proven', () => {
    underWay();
    goesDown('h2');
    expect(live()).toMatchObject({ state: 'stopping', reason: 'host h2 is down' });
    said.h1 = { state: 'idle', guest: 'running' };
    settle();
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, successor: null, state: 'ready' });
  });

  test('and is started from its disk where all of it left, and its new host is silent', () => {
    underWay();
    said = { h1: GONE, h2: null };
    settle();
    expect(live()?.state).toBe('moving');
    goesDown('h2');
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, successor: null });
    expect(host('h2').superseded).toEqual({ 'crm/db': 2 });
  });

  test('and waits for its own host; when that is dead it is started from its disk, not let run on', () => {
    underWay();
    said.h2 = LANDED;
    goesDown('h1');
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, state: 'unknown' });
    const proof = { kind: 'operator', host: 'h1', atMs: 1, detail: 'signed' } as const;
    world.put('hosts/h1', { ...host('h1'), state: 'fenced', proof });
    settle();
    expect(vm()).toMatchObject({ host: 'h2', incarnation: 3, proof: { kind: 'operator' } });
    expect(events).not.toContain('vm-migrated');
  });

  test('and the same when its own host is shut out of the disk, which may go on running', () => {
    underWay();
    said.h2 = LANDED;
    goesDown('h1');
    shutOut('h1');
    settle();
    expect(vm()).toMatchObject({ host: 'h2', incarnation: 3, proof: { kind: 'storage-fence' } });
    expect(host('h1').superseded).toEqual({ 'crm/db': 1 });
  });

  test('and is not let run on by a host that was shut out meanwhile; that one is let in when nothing is to come of it', () => {
    underWay();
    said = { h1: { state: 'working', guest: 'running' }, h2: LANDED };
    shutOut('h2');
    settle();
    // It is heard again, and what came there has the disk open as a client that can write no more.
    expect(live()).toMatchObject({ state: 'stopping', reason: 'host h2 is shut out of its disk' });
    expect(lifts).toEqual([]);
    said.h1 = GONE;
    settle();
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, successor: null });
    said = {};
    settle();
    expect(lifts).toEqual(['h2']);
  });

  test('off a host that drains', () => {
    world.put('hosts/h1', {
      ...host('h1'),
      draining: true,
      drain: { atMs: 1, by: 'me', cold: false, vms: 1 },
    });
    said = { h1: { state: 'working', guest: 'running' }, h2: {} };
    settle();
    expect(live()).toMatchObject({ state: 'moving', standsStill: true });
    said = { h1: GONE, h2: LANDED };
    settle();
    expect(vm()).toMatchObject({ host: 'h2', state: 'ready', power: 'running' });
  });
});

describe('a machine whose disk is in Ceph stays', () => {
  const refused = () => {
    change({ moveTo: 'h2', moveMode: 'live' });
    settle();
    expect(vm()).toMatchObject({ host: 'h1', state: 'ready', power: 'running', moveTo: null });
    expect(vm().successor ?? null).toBeNull();
  };

  test('where the other host has no such pool, or one that cannot be used', () => {
    world.put('hosts/h2', aHost('h2'));
    refused();
    expect(events).not.toContain('vm-moves-cold');
  });

  test('where the other host has a pool of that name in another cluster', () => {
    const other = { ...RBD_POOL, id: 'b00c0000-0000-4000-8000-0000000000cf', sizeMiB: 102_400 };
    world.put('hosts/h2', aHost('h2', { pools: [other] }));
    refused();
  });

  test('where the other host is shut out of the pool', () => {
    shutOut('h2');
    refused();
  });

  test('where an agent is too old to let it stand still, unless it may be stopped', () => {
    world.capabilities = [PROVES_STOPS, MIGRATES_LIVE];
    refused();
    expect(told.at(-1)).toContain('too old to hand over a machine while it runs whose disk is in Ceph');
    change({ stay: null, moveTo: 'h2', moveMode: 'auto' });
    settle();
    expect(vm()).toMatchObject({ host: 'h2', state: 'ready' });
    expect(events).toContain('vm-moves-cold');
  });
});
