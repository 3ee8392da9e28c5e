import { expect, test } from 'vitest';
import type { DiskView } from '../../../agent/disks/contract.ts';
import { domainName } from '../../../agent/executor/names.ts';
import { leaving, type Observed, plan, unnamed } from '../../../agent/executor/plan.ts';
import { Strangers } from '../../../agent/executor/strangers.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';

const PATH = '/local/machines/crm/db/disk.qcow2';
const machine = aMachineGoal({ pool: 'local', incarnation: 2 });
const own: DiskView = { pool: 'local', path: PATH, vmId: 'crm/db', kind: 'machine', incarnation: null };
const half: DiskView = { ...own, copy: { incarnation: 2, state: 'half' } };
const whole: DiskView = { ...own, copy: { incarnation: 2, state: 'whole' } };
const domain = (incarnation: number, state: DomainView['state']): DomainView => ({
  name: domainName(FLEET, 'crm/db'),
  mark: { fleet: FLEET, id: 'crm/db', incarnation, kind: 'machine', rebootGeneration: 0 },
  ...{ state, reason: state === 'paused' ? 'user' : 'booted', overlay: PATH, files: [PATH] },
});
const seen = (overrides: Partial<Observed>): Observed => ({
  ...{ domains: [], networks: [], disks: [], folders: [], memory: new Map(), unnamedSinceMs: new Map() },
  ...overrides,
});
const kinds = (goal: Goal, overrides: Partial<Observed>, nowMs = 0) =>
  plan(goal, seen(overrides), nowMs, { reapAfterMs: 10, unreadyLimitMs: 1, networkNames: new Set() }).map(
    ({ kind }) => kind,
  );
const superseded = [{ id: 'crm/db', upToIncarnation: 2 }];

test('what has come with its disk is let run on when the goal says that it is this host’s, before anything else', () => {
  for (const disk of [half, whole]) {
    expect(kinds(aGoal([machine]), { domains: [domain(2, 'paused')], disks: [disk] })).toEqual(['settle']);
    const stopped = aGoal([{ ...machine, power: 'stopped' }]);
    expect(kinds(stopped, { domains: [domain(2, 'paused')], disks: [disk] })).toEqual(['settle']);
    // It lost its memory on the way: started from its disk.
    expect(kinds(aGoal([machine]), { domains: [domain(2, 'shut-off')], disks: [disk] })).toEqual([
      'provision',
    ]);
    // Something newer is to follow on it.
    const next = aGoal([{ ...machine, incarnation: 3 }]);
    expect(kinds(next, { domains: [domain(2, 'paused')], disks: [disk] })).toEqual(['retire']);
  }
  expect(kinds(aGoal([machine]), { domains: [domain(2, 'paused')], disks: [own] })).toEqual(['supervise']);
});

test('before that nothing is done with it', () => {
  const coming = aGoal([], { incoming: [{ vm: machine, from: 'h1' }] });
  for (const domains of [[], [domain(2, 'paused')]])
    expect(kinds(coming, { domains, disks: [half], unnamedSinceMs: new Map([[PATH, 0]]) }, 99)).toEqual([]);
  expect(unnamed(coming, { domains: [], disks: [half] })).toEqual([]);
});

test('half a copy that came to nothing goes, its domain first; without a word it goes when it was seen so for a while', () => {
  const over = aGoal([], { superseded });
  expect(kinds(over, { domains: [domain(2, 'paused')], disks: [half] })).toEqual(['retire']);
  expect(kinds(over, { disks: [half] })).toEqual(['drop-copied']);
  expect(leaving(over, seen({ disks: [half] }), [])).toEqual(['crm/db']);
  const forgotten = aGoal([]);
  expect(kinds(forgotten, { domains: [domain(2, 'paused')], disks: [half] })).toEqual([]);
  const unnamedSinceMs = new Map(unnamed(forgotten, { domains: [], disks: [half] }).map((path) => [path, 0]));
  expect(kinds(forgotten, { domains: [domain(2, 'paused')], disks: [half], unnamedSinceMs }, 10)).toEqual([
    'retire',
  ]);
  expect(kinds(forgotten, { disks: [half], unnamedSinceMs }, 10)).toEqual(['drop-copied']);
  const strangers = new Strangers();
  strangers.update(forgotten, [domain(2, 'paused')], [half]);
  expect(strangers.list()).toEqual([]);
});

test('a whole copy, and a disk like any other, is never removed for that; nor is a machine that runs', () => {
  const unnamedSinceMs = new Map([[PATH, 0]]);
  for (const disk of [whole, own]) {
    for (const goal of [aGoal([]), aGoal([], { superseded })])
      expect(kinds(goal, { disks: [disk], unnamedSinceMs }, 99)).toEqual([]);
    expect(kinds(aGoal([]), { domains: [domain(2, 'running')], disks: [disk], unnamedSinceMs }, 99)).toEqual(
      [],
    );
  }
});

test('the disk of a machine that works elsewhere with a copy of it goes when the controller says so', () => {
  const away = aGoal([], { copiedAway: [{ id: 'crm/db', upToIncarnation: 1 }] });
  expect(kinds(away, { domains: [domain(1, 'shut-off')], disks: [own] })).toEqual(['retire']);
  expect(kinds(away, { disks: [own] })).toEqual(['drop-copied']);
  expect(leaving(away, seen({ disks: [own] }), [])).toEqual(['crm/db']);
  expect(leaving(away, seen({}), [])).toEqual([]);
  // It is on its way back, or is back.
  const back = { incoming: [{ vm: { ...machine, incarnation: 3 }, from: 'h2' }] };
  expect(kinds({ ...away, ...back }, { disks: [own] })).toEqual([]);
});

test('what stands still here on a disk that other hosts have too is let run on under a lease only, and goes when nobody waits for it', () => {
  const still = (state: DomainView['state'] = 'paused'): DomainView => {
    const { mark, ...seenAs } = domain(2, state);
    return { ...seenAs, mark: mark && { ...mark, standsStill: true } };
  };
  const ceph = aMachineGoal({ pool: 'ceph', incarnation: 2 });
  expect(kinds(aGoal([ceph]), { domains: [still()] })).toEqual(['settle']);
  const withoutLease = { reapAfterMs: 10, unreadyLimitMs: 1, networkNames: new Set<string>() };
  const options = { ...withoutLease, withoutLease: new Set(['ceph']) };
  expect(plan(aGoal([ceph]), seen({ domains: [still()] }), 0, options)).toEqual([]);
  // It waits for the word.
  const coming = aGoal([], { incoming: [{ vm: ceph, from: 'h1', standsStill: true }] });
  expect(kinds(coming, { domains: [still()] })).toEqual([]);
  expect(unnamed(coming, { domains: [still()], disks: [] })).toEqual([]);
  expect(kinds(aGoal([], { superseded }), { domains: [still()] })).toContain('retire');
  const nobody = aGoal([]);
  const name = still().name;
  expect(unnamed(nobody, { domains: [still()], disks: [] })).toEqual([name]);
  const ripe = { unnamedSinceMs: new Map([[name, 0]]) };
  expect(kinds(nobody, { domains: [still()], ...ripe }, 10)).toContain('retire');
  // A machine that runs is never removed for that.
  expect(kinds(nobody, { domains: [still('running')], ...ripe }, 10)).not.toContain('retire');
});

test('half a copy of an earlier machine of its name goes from where a new one has no disk yet; one that has a disk loses none', () => {
  const unnamedSinceMs = new Map([[PATH, 0]]);
  const fresh = aGoal([aMachineGoal({ incarnation: 5, diskIncarnation: 0 })]);
  expect(unnamed(fresh, { domains: [], disks: [half] })).toEqual([PATH]);
  expect(kinds(fresh, { disks: [half], unnamedSinceMs }, 10)).toEqual(['drop-copied', 'provision']);
  // What it was copied for, or what followed on that, has it from the controller that it is whole.
  const had = aGoal([aMachineGoal({ incarnation: 5, diskIncarnation: 2 })]);
  const itself = aGoal([aMachineGoal({ incarnation: 2, diskIncarnation: 0 })]);
  const comes = aGoal([], { incoming: [{ vm: aMachineGoal({ incarnation: 5 }), from: 'h1' }] });
  for (const goal of [had, itself, comes]) {
    expect(unnamed(goal, { domains: [], disks: [half] })).toEqual([]);
    expect(kinds(goal, { disks: [half], unnamedSinceMs }, 10)).not.toContain('drop-copied');
  }
});
