import { beforeEach, expect, test } from 'vitest';
import {
  COPIES_DISKS,
  MIGRATES_LIVE,
  type MigrationReport,
  PROVES_STOPS,
  type VmReport,
} from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { drainProgress } from '../../../controller/operations/drain-progress.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { PlanningWorld } from '../../property/reconciler/planning-world.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

const FILES = { disk: '/local/disk.qcow2', seed: null, console: '/run/console.log' };
const DISK = { virtualSizeBytes: 2 ** 30, dataBytes: 5 * 2 ** 20, restored: null };
type Word = Partial<MigrationReport>;

let world: PlanningWorld;
let events: string[];
/** What each host says of the hand-over; null: nothing. */
let said: Record<string, Word | null>;
let phase: VmReport['phase'];

beforeEach(() => {
  world = new PlanningWorld();
  world.capabilities = [PROVES_STOPS, MIGRATES_LIVE, COPIES_DISKS];
  events = [];
  said = {};
  phase = 'ready';
  world.sayOfMigrations = (host) => {
    const word = said[host];
    const { successor, id } = world.records.vms.get('crm/db') ?? {};
    if (!word || !successor) return [];
    const common = { id, incarnation: successor.incarnation };
    if (host !== successor.host && successor.live?.state === 'preparing')
      return [{ role: 'disk', ...common, disk: DISK, ...word } as MigrationReport];
    const role = host === successor.host ? 'in' : 'out';
    const order = successor.live?.state === 'stopping' ? 'stop' : 'move';
    const own = role === 'in' ? { state: 'ready', files: FILES } : { order, resume: successor.live?.resume };
    return [{ role, ...common, guest: 'absent', ...own, ...word } as MigrationReport];
  };
  world.addHost(aHost('h1'));
  world.put('apps/crm', anApplication('crm', { roles: {}, machines: { db: aMachine({ pool: 'local' }) } }));
  settle();
  world.addHost(aHost('h2'));
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
    world.letHostsFollow(() => ({ phase }));
    const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    events.push(...planned.events.map(({ kind }) => kind));
    if (planned.puts.length + planned.deletes.length + planned.events.length === 0) return;
  }
  throw new Error('the plan does not come to rest');
}

/** Asked to move, made ready for, and on its way. */
function underWay(): void {
  change({ moveTo: '*', moveMode: 'auto', moveCopies: true });
  said = { h1: {}, h2: {} };
  settle();
  expect(live()?.state).toBe('moving');
  said = { h1: { state: 'working', guest: 'running' }, h2: { guest: 'paused' } };
  settle();
}

test('it stays unless its disk may be copied along', () => {
  change({ moveTo: '*', moveMode: 'auto' });
  settle();
  expect(vm().successor ?? null).toBeNull();
  world.put('hosts/h1', { ...host('h1'), draining: true, drain: { atMs: 1, by: 'me', cold: false, vms: 1 } });
  settle();
  expect(vm().successor ?? null).toBeNull();
  expect(drainProgress(host('h1'), [vm()], [], world.nowMs).left[0]).toMatchObject({ waitsFor: 'operator' });
});

test('its host is asked first what its disk is like; then the other one makes a place; then it goes', () => {
  change({ moveTo: '*', moveMode: 'auto', moveCopies: true });
  settle();
  expect(goal('h1').measured).toEqual([{ id: 'crm/db', incarnation: 2 }]);
  expect(goal('h1').outgoing).toBeUndefined();
  expect(goal('h2').incoming).toBeUndefined();
  said = { h1: {} };
  settle();
  expect(goal('h1').measured).toBeUndefined();
  expect(goal('h2').incoming).toMatchObject([{ from: 'h1', disk: DISK, vm: { incarnation: 2 } }]);
  said = { h1: { state: 'working', guest: 'running' }, h2: {} };
  settle();
  expect(goal('h1').outgoing).toMatchObject([{ order: 'move', copiesDisk: true, files: FILES }]);
  for (const [percent, told] of [
    [47, 40],
    [31, 40],
    [100, 100],
  ] as const) {
    said.h1 = { state: 'working', guest: 'running', percent };
    settle();
    expect(live()?.percent).toBe(told);
  }
});

test('it is there only when all of it is there and nothing of it is left here; its old disk goes when it is ready', () => {
  underWay();
  said.h2 = { guest: 'paused', landed: true } as Word;
  settle();
  expect(vm()).toMatchObject({ host: 'h1', incarnation: 1 });
  said.h1 = { state: 'idle', guest: 'absent' };
  settle();
  // What ended here is no proof that it went.
  expect(vm()).toMatchObject({ host: 'h1', successor: null });
  said = {};
  change({ stay: null });
  underWay();
  phase = 'starting';
  said = {
    h1: { state: 'idle', guest: 'absent', gone: true } as Word,
    h2: { guest: 'paused', landed: true } as Word,
  };
  settle();
  expect(vm()).toMatchObject({ host: 'h2', copiedFrom: { host: 'h1', incarnation: 1 }, successor: null });
  expect(vm().diskIncarnation).toBe(vm().incarnation);
  expect(goal('h1').copiedAway).toBeUndefined();
  expect(drainProgress(host('h1'), [vm()], [], 0).left).toMatchObject([{ waitsFor: 'removal' }]);
  phase = 'ready';
  said = {};
  world.letHostsFollow(() => ({ phase }));
  for (let passes = 0; passes < 5 && vm().copiedFrom; passes++)
    world.write(plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS));
  expect(vm().copiedFrom).toBeNull();
  expect(goal('h1').copiedAway).toEqual([{ id: 'crm/db', upToIncarnation: 1 }]);
  settle();
  expect(host('h1').copiedAway).toEqual({});
});

test('its own host is waited for, also where it is dead; what it left there is called off at any time', () => {
  underWay();
  said = { h2: { guest: 'paused', landed: true } as Word };
  const proof = { kind: 'operator', host: 'h1', atMs: 1, detail: 'signed' } as const;
  world.silence('h1');
  world.put('hosts/h1', { ...host('h1'), state: 'fenced', proof });
  settle();
  expect(vm()).toMatchObject({ host: 'h1', incarnation: 1 });
  expect(live()?.state).toBe('moving');
  // Its disk was given up with it: what there is, is there.
  world.records.hosts.delete('h1');
  settle();
  expect(vm()).toMatchObject({ host: 'h2', incarnation: 2 });
});

test('all of it left, and nothing of it came: it is started again from its disk, which is here', () => {
  underWay();
  said = { h1: { state: 'idle', guest: 'absent', gone: true } as Word, h2: null };
  settle();
  expect(live()?.state).toBe('moving');
  said.h2 = { guest: 'absent' };
  settle();
  expect(vm()).toMatchObject({ host: 'h1', incarnation: 1, successor: null });
  expect(events.slice(-3)).toContain('vm-successor-dropped');
});

test('a disk that has no room there is not begun with', () => {
  change({ moveTo: 'h2', moveMode: 'auto', moveCopies: true });
  said = { h1: { disk: { ...DISK, dataBytes: 2 ** 50 } } as Word, h2: {} };
  world.freeMiB = 1024;
  settle();
  expect(vm().successor ?? null).toBeNull();
  expect(vm().stay?.message).toContain('has 1024 MiB left');
});

test('deleted before it is ready there, its record stays until its old host has removed what it had', () => {
  underWay();
  phase = 'starting';
  said = {
    h1: { state: 'idle', guest: 'absent', gone: true } as Word,
    h2: { guest: 'paused', landed: true } as Word,
  };
  settle();
  said = {};
  world.silence('h1');
  change({ deleting: true });
  settle();
  expect(vm()).toMatchObject({ host: 'h2', deleting: true, copiedFrom: null });
  expect(host('h1').copiedAway).toEqual({ 'crm/db': 1 });
  expect(events).not.toContain('vm-gone');
  world.records.hosts.delete('h1');
  settle();
  expect(events).toContain('vm-gone');
});
