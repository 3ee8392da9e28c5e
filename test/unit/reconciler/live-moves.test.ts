import { beforeEach, describe, expect, test } from 'vitest';
import { MIGRATES_LIVE, type MigrationReport, PROVES_STOPS } from '../../../agent/protocol/index.ts';
import { backupRef } from '../../../controller/model/backup-ids.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { ARRIVAL_MS } from '../../../controller/reconciler/hand-over.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { SHARED_POOL } from '../../simulation/support/shared-pool.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { aBackup } from '../../support/builders/backup.ts';
import { aHost } from '../../support/builders/host.ts';

const SAN = [{ ...SHARED_POOL, sizeMiB: 102_400 }];
const FILES = { disk: '/san/disk.qcow2', seed: null, console: '/run/console.log' };
type Word = Partial<MigrationReport>;

let world: PlanningWorld;
let events: string[];
/** What each host says of the hand-over; null: nothing. */
let said: Record<string, Word | null>;

beforeEach(() => {
  world = new PlanningWorld();
  world.capabilities = [PROVES_STOPS, MIGRATES_LIVE];
  events = [];
  said = {};
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
  world.addHost(aHost('h1', { pools: SAN }));
  world.put(
    'apps/crm',
    anApplication('crm', { roles: {}, machines: { db: aMachine({ pool: SHARED_POOL.name }) } }),
  );
  settle();
  world.addHost(aHost('h2', { pools: SAN }));
});

const vm = (): VmRecord => {
  const found = world.records.vms.get('crm/db');
  if (!found) throw new Error('it is not there');
  return found;
};
const change = (patch: Partial<VmRecord>) => world.put('vms/crm/db', { ...vm(), ...patch });
const live = () => vm().successor?.live;

function settle(): void {
  for (let passes = 0; passes < 60; passes++) {
    world.letHostsFollow();
    const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    events.push(...planned.events.map(({ kind }) => kind));
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return;
  }
  throw new Error('the plan does not come to rest');
}

/** Asked to move, made ready for, and on its way. */
function underWay(): void {
  change({ moveTo: '*', moveMode: 'auto' });
  said = { h1: { state: 'working', guest: 'running' }, h2: {} };
  settle();
  expect(live()?.state).toBe('moving');
}

const goal = (host: string) => {
  const here = [...world.records.vms.values()].filter((each) => each.host === host);
  return goalOf(host, here, () => ({}), world.snapshot());
};

describe('a machine that moves while it runs', () => {
  test('is made ready for first, of which its own host hears nothing; then it is handed over', () => {
    change({ moveTo: '*', moveMode: 'auto' });
    settle();
    expect(vm()).toMatchObject({ host: 'h1', state: 'ready', power: 'running' });
    expect(live()?.state).toBe('preparing');
    expect(goal('h1').outgoing).toBeUndefined();
    expect(goal('h2')).toMatchObject({
      vms: [],
      incoming: [{ from: 'h1', vm: { id: 'crm/db', incarnation: 2 } }],
    });
    expect(goal('h2').networks[0]?.leases).toHaveLength(1);
    said = { h1: { state: 'working', guest: 'running' }, h2: {} };
    settle();
    expect(goal('h1').outgoing).toEqual([
      { id: 'crm/db', incarnation: 2, to: 'h2', order: 'move', resume: false, files: FILES },
    ]);
    expect(goal('h1').vms).toHaveLength(1);
  });

  test('waits for a backup that is being made of it, and is backed up where it has come to', () => {
    const backup = aBackup({ vmId: 'crm/db', app: 'crm', host: 'h1', state: 'wanted' });
    world.put(`backups/${backupRef(backup)}`, backup);
    change({ moveTo: '*', moveMode: 'auto' });
    settle();
    expect(vm().successor ?? null).toBeNull();
    expect(goal('h1').backups).toHaveLength(1);
    world.put(`backups/${backupRef(backup)}`, { ...backup, state: 'done' });
    underWay();
    world.put(`backups/${backupRef(backup)}`, backup);
    expect(goal('h1').backups ?? []).toEqual([]);
  });

  test('is the other host’s when it runs there, at its old address, with how long it stood still', () => {
    underWay();
    const { address } = vm();
    said.h2 = { guest: 'running', downtimeMs: 61, totalMs: 900 } as Word;
    settle();
    expect(vm()).toMatchObject({
      ...{ host: 'h2', incarnation: 2, state: 'ready', address, successor: null, moveTo: null },
      ...{ proof: { kind: 'agent', host: 'h1' } },
      ...{ lastMove: { from: 'h1', to: 'h2', downtimeMs: 61, totalMs: 900 } },
    });
    expect(world.records.hosts.get('h1')?.superseded).toEqual({});
    expect(events).toContain('vm-migrated');
    expect(world.records.claims.get('h1')?.vms).toEqual({});
  });

  test('goes straight to a host that lets it in, and each host is told by which certificate it knows the other', () => {
    const direct = { address: '192.0.2.2', port: 7702 };
    change({ moveTo: '*', moveMode: 'auto' });
    said = { h1: { state: 'working', guest: 'running' }, h2: { direct } as Word };
    settle();
    const joinedAtMs = (host: string) => Number(world.records.hosts.get(host)?.joinedAtMs);
    const since = (host: string) => Math.floor(joinedAtMs(host) / 1_000) * 1_000 - 3_600_000;
    expect(goal('h1').outgoing).toMatchObject([{ direct: { ...direct, certifiedFromMs: since('h2') } }]);
    expect(goal('h2').incoming).toMatchObject([{ from: 'h1', certifiedFromMs: since('h1') }]);
    said.h2 = { guest: 'running', way: 'direct' } as Word;
    settle();
    expect(vm().lastMove).toMatchObject({ to: 'h2', way: 'direct' });
  });

  test('is nobody else’s while its own host is silent, and the other host’s when that one is dead', () => {
    underWay();
    world.silence('h1');
    world.pass(10_000);
    settle();
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, state: 'unknown' });
    expect(live()?.state).toBe('moving');
    const proof = { kind: 'operator', host: 'h1', atMs: world.nowMs, detail: 'signed' } as const;
    world.put('hosts/h1', { ...(world.records.hosts.get('h1') as HostRecord), state: 'fenced', proof });
    settle();
    // Whatever of it is there goes on, or is started: never a third copy.
    expect(vm()).toMatchObject({ host: 'h2', incarnation: 2, proof: { kind: 'operator' } });
  });

  test('goes on from its disk over there when it ended here on its way', () => {
    underWay();
    said.h1 = { state: 'failed', guest: 'absent' };
    settle();
    expect(vm().host).toBe('h1');
    world.pass(ARRIVAL_MS);
    settle();
    expect(vm()).toMatchObject({ host: 'h2', incarnation: 2, proof: { kind: 'agent' } });
    expect(events).not.toContain('vm-migrated');
  });

  test('stays when the way fails, tries again after a while, and is stopped for it when that fails too', () => {
    underWay();
    for (const failures of [1, 2]) {
      said.h1 = { state: 'failed', guest: 'running', message: 'no route' };
      settle();
      expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, state: 'ready', successor: null });
      expect(vm().stay).toMatchObject({ failures, message: expect.stringContaining('no route') });
      said.h1 = { state: 'working', guest: 'running' };
      world.pass(60_000);
      settle();
      if (failures === 1) expect(live()?.state).toBe('moving');
    }
    expect(events).toContain('vm-moves-cold');
    expect(vm()).toMatchObject({ host: 'h2', state: 'ready', incarnation: 4 });
  });

  test('called off on its way is given up only when its host has nothing under way any more', () => {
    underWay();
    change({ moveTo: null });
    settle();
    expect(live()).toMatchObject({ state: 'stopping' });
    expect(goal('h1').outgoing?.[0]?.order).toBe('stop');
    said.h1 = { state: 'idle', guest: 'running' };
    settle();
    expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, successor: null, stay: null });
    // Whatever of it may still be there goes.
    expect(world.records.hosts.get('h2')?.superseded).toEqual({});
    expect(events).toContain('vm-successor-dropped');
  });

  test('is neither deleted with its application nor made anew while two hosts may have it', () => {
    underWay();
    const application = world.records.applications.get('crm');
    world.put('apps/crm', { ...application, deleting: true });
    settle();
    expect(vm()).toMatchObject({ deleting: false });
    expect(world.records.tombstones.size).toBe(0);
    said.h2 = { guest: 'running' };
    settle();
    expect(world.records.tombstones.get('crm/db')?.host ?? 'h2').toBe('h2');
  });
});

describe('where it cannot move while it runs', () => {
  const cold = () => {
    change({ moveTo: '*', moveMode: 'auto' });
    settle();
    return vm();
  };

  test('it is stopped, said aloud with the reason', () => {
    world.capabilities = [PROVES_STOPS];
    expect(cold()).toMatchObject({ host: 'h2', state: 'ready' });
    expect(events).toContain('vm-moves-cold');
  });

  test('it goes to a host that can take it as it runs before all others', () => {
    const other = aHost('h3', { pools: SAN });
    const old = aHost('h2', { pools: SAN });
    if (!old.facts) throw new Error('a host has facts');
    world.put('hosts/h2', { ...old, facts: { ...old.facts, qemuVersion: '7.1.9' } });
    world.addHost(other);
    change({ moveTo: '*', moveMode: 'auto' });
    settle();
    expect(vm().successor).toMatchObject({ host: 'h3', live: { state: 'preparing' } });
  });

  test('it stays, with the reason, when it must not be stopped', () => {
    world.capabilities = [PROVES_STOPS];
    change({ moveTo: '*', moveMode: 'live' });
    settle();
    expect(vm()).toMatchObject({ host: 'h1', power: 'running', moveTo: null });
    expect(vm().successor).toBeFalsy();
    expect(events).toContain('vm-move-failed');
  });

  test('it is stopped without a word when that was asked for', () => {
    change({ moveTo: 'h2', moveMode: 'cold' });
    settle();
    expect(vm()).toMatchObject({ host: 'h2', state: 'ready' });
    expect(events).not.toContain('vm-moves-cold');
    expect(events).not.toContain('vm-migrating');
  });
});
