import { expect, test } from 'vitest';
import { LeaseKeeper, releaseGuard } from '../../../agent/guard/lease-keeper.ts';
import { GuardFolder, type GuardNote } from '../../../agent/guard/notes.ts';
import { startTicksOf } from '../../../agent/kit/processes.ts';
import { inFolder } from './files.ts';

const NOTE: GuardNote = {
  pid: process.pid,
  startTicks: startTicksOf(process.pid) ?? '',
  word: 'w1',
  armed: true,
  device: '/dev/watchdog',
  dependable: true,
  timeoutMs: 10_000,
  identity: 'iTCO_wdt',
  note: null,
};

const withKeeper = (work: (rig: ReturnType<typeof rigIn>) => void) =>
  inFolder(async (path) => work(rigIn(path)));

function rigIn(path: string) {
  const folder = new GuardFolder(path, 'boot-1');
  const clock = { nowMs: 100_000 };
  let held = 0;
  const keeper = (leaseMs = 30_000) =>
    new LeaseKeeper({
      folder,
      bootTimeMs: () => clock.nowMs,
      leaseMs,
      machines: () => null,
      onHeld: () => {
        held++;
      },
    });
  return { path, folder, clock, keeper, timesHeld: () => held };
}

test('a lease counts from the moment its heartbeat was sent, however late the answer comes', () =>
  withKeeper(({ clock, keeper, folder }) => {
    const agent = keeper();
    const { sequence } = agent.beat();
    clock.nowMs += 29_000;
    agent.granted({ type: 'lease', sequence, leaseMs: 30_000 });
    expect(agent.isHeld()).toBe(true);
    expect(folder.read('lease')).toMatchObject({ untilMs: 130_000, released: false });
    clock.nowMs += 1_000;
    expect(agent.isHeld()).toBe(false);
  }));

test('an answer to no heartbeat of this agent, or a second one to the same, grants nothing', () =>
  withKeeper(({ keeper, clock }) => {
    const agent = keeper();
    agent.granted({ type: 'lease', sequence: 7, leaseMs: 30_000 });
    expect(agent.isHeld()).toBe(false);
    const { sequence } = agent.beat();
    agent.granted({ type: 'lease', sequence, leaseMs: 1_000 });
    clock.nowMs += 1_000;
    agent.granted({ type: 'lease', sequence, leaseMs: 30_000 });
    expect(agent.isHeld()).toBe(false);
  }));

test('an answer out of order never shortens what a later one granted', () =>
  withKeeper(({ keeper, clock, folder }) => {
    const agent = keeper();
    const first = agent.beat().sequence;
    clock.nowMs += 1_000;
    const second = agent.beat().sequence;
    agent.granted({ type: 'lease', sequence: second, leaseMs: 30_000 });
    agent.granted({ type: 'lease', sequence: first, leaseMs: 30_000 });
    expect(folder.read('lease')?.untilMs).toBe(131_000);
  }));

test('an agent that starts again goes on with the lease, cut to the length that it asks for from now on', () =>
  withKeeper(({ keeper, folder }) => {
    folder.write('lease', { untilMs: 150_000, released: false, toldWord: 'w1' });
    expect(keeper(30_000).isHeld()).toBe(true);
    expect(folder.read('lease')).toMatchObject({ untilMs: 130_000, toldWord: 'w1' });
  }));

test('a lease of another boot is none', () =>
  withKeeper(({ path, folder, keeper }) => {
    new GuardFolder(path, 'boot-0').write('lease', { untilMs: 1e12, released: false, toldWord: null });
    expect(folder.read('lease')).toBeNull();
    expect(keeper().isHeld()).toBe(false);
  }));

test('tells of the guard what it says itself, and nothing armed when its process has ended', () =>
  withKeeper(({ keeper, folder }) => {
    const agent = keeper();
    expect(agent.beat().guard).toEqual({ leaseMs: 30_000, running: false, watchdog: null });
    folder.write('guard', NOTE);
    expect(agent.beat().guard.watchdog).toMatchObject({ armed: true, dependable: true, timeoutMs: 10_000 });
    folder.write('guard', { ...NOTE, startTicks: '1' });
    expect(agent.beat().guard).toEqual({ leaseMs: 30_000, running: false, watchdog: null });
  }));

test('hands the guard the word of it that the controller has answered', () =>
  withKeeper(({ keeper, folder }) => {
    const agent = keeper();
    folder.write('guard', NOTE);
    const { sequence } = agent.beat();
    folder.write('guard', { ...NOTE, word: 'w2', armed: false });
    agent.granted({ type: 'lease', sequence, leaseMs: 30_000 });
    expect(folder.read('lease')?.toldWord).toBe('w1');
  }));

test('says once when the lease is held again', () =>
  withKeeper(({ keeper, clock, timesHeld }) => {
    const agent = keeper();
    for (let round = 0; round < 3; round++) {
      const { sequence } = agent.beat();
      agent.granted({ type: 'lease', sequence, leaseMs: 5_000 });
    }
    expect(timesHeld()).toBe(1);
    clock.nowMs += 60_000;
    const { sequence } = agent.beat();
    agent.granted({ type: 'lease', sequence, leaseMs: 5_000 });
    expect(timesHeld()).toBe(2);
  }));

test('tells once of each domain that the guard has stopped, and not of what an earlier agent saw', () =>
  withKeeper(({ keeper, folder }) => {
    const old = { name: 'weft-f-a', pid: 1, atMs: 1 };
    folder.write('stopped', { machines: [old] });
    const agent = keeper();
    expect(agent.takeStopped('weft-f-a')).toBe(false);
    folder.write('stopped', { machines: [old, { name: 'weft-f-a', pid: 2, atMs: 2 }] });
    expect(agent.takeStopped('weft-f-b')).toBe(false);
    expect([agent.takeStopped('weft-f-a'), agent.takeStopped('weft-f-a')]).toEqual([true, false]);
  }));

test('a guard is released where there was a lease, and nothing is written where there is none', () =>
  withKeeper(({ folder }) => {
    releaseGuard(folder);
    expect(folder.read('lease')).toBeNull();
    folder.write('lease', { untilMs: 5, released: false, toldWord: null });
    releaseGuard(folder);
    expect(folder.read('lease')).toMatchObject({ released: true });
  }));
