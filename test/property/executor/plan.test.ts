import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { domainName, networkName } from '../../../agent/executor/names.ts';
import type { Step } from '../../../agent/executor/plan.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aDisk, after, aWorld, planned, REAP_MS, UNREADY_MS, type World } from './host-model.ts';

const RUNS = { numRuns: 500 };
/** Asks for every step of a plan, and of each plan that follows from carrying one out. */
const always = (judge: (step: Step, world: World) => void) =>
  fc.assert(
    fc.property(aWorld, fc.infiniteStream(fc.nat()), (start, choices) => {
      let world = start;
      for (let round = 0; round < 12; round++) {
        const steps = planned(world);
        for (const step of steps) judge(step, world);
        const chosen = steps[(choices.next().value ?? 0) % Math.max(1, steps.length)];
        world = chosen ? after(chosen, world) : { ...world, nowMs: world.nowMs + REAP_MS / 2 };
      }
    }),
    RUNS,
  );

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const each of Object.values(value)) frozen(each);
  return Object.freeze(value);
}

const domainOf = (world: World, vmId: string) =>
  world.observed.domains.find((domain) => domain.mark?.id === vmId);

describe('whatever a host holds and whatever the goal says, its plan', () => {
  test('is made of its arguments alone: the same twice, and they stay as they were', () => {
    fc.assert(
      fc.property(aWorld, (world) => {
        const copy = structuredClone(world);
        frozen(world);
        const steps = planned(world);
        expect(planned(world)).toEqual(steps);
        expect(planned(copy)).toEqual(steps);
        expect(copy).toEqual(world);
      }),
      RUNS,
    );
  });

  test('has no step against a domain or a network of someone else', () => {
    always((step, { observed }) => {
      if (step.kind === 'retire')
        expect(observed.domains.find(({ name }) => name === step.domain)?.mark?.id).toBe(step.vmId);
      if (step.kind === 'remove-network')
        expect(observed.networks.find(({ name }) => name === step.network)?.mark).not.toBeNull();
      // What a step of a VM works on is the domain of that VM's own name.
      if ('vm' in step)
        expect(
          observed.domains.find(({ name }) => name === domainName(FLEET, step.vm.id))?.mark,
        ).not.toBeNull();
    });
  });

  test('takes a machine’s disk only under a tombstone that covers it, and never one that the goal names', () => {
    always((step, world) => {
      if (step.kind === 'discard') expect(step.disk.kind).toBe('instance');
      if (step.kind !== 'bury') return;
      const tombstone = world.goal.tombstones.find(({ id }) => id === step.vmId);
      expect(tombstone?.upToIncarnation).toBeGreaterThanOrEqual(
        domainOf(world, step.vmId)?.mark?.incarnation ?? 0,
      );
      expect(world.goal.vms.map(({ id }) => id)).not.toContain(step.vmId);
    });
  });

  test('takes a machine’s domain only when it is superseded, lives elsewhere or is buried', () => {
    always((step, world) => {
      if (step.kind !== 'retire') return;
      const mark = domainOf(world, step.vmId)?.mark;
      if (mark?.kind !== 'machine') return;
      const vm = world.goal.vms.find(({ id }) => id === step.vmId);
      const isOver = [...world.goal.tombstones, ...world.goal.superseded].some(
        ({ id, upToIncarnation }) => id === step.vmId && upToIncarnation >= mark.incarnation,
      );
      expect(vm ? mark.incarnation < vm.incarnation : isOver).toBe(true);
    });
  });

  test('never takes an overlay from under a domain', () => {
    always((step, { observed }) => {
      if (step.kind === 'discard')
        expect(observed.domains.map(({ overlay }) => overlay)).not.toContain(step.disk.path);
    });
  });

  test('runs nothing but the goal’s own incarnation, and only beside no other one', () => {
    always((step, world) => {
      if (!('vm' in step)) return;
      expect(world.goal.vms).toContain(step.vm);
      const present = domainOf(world, step.vm.id)?.mark;
      if (present) expect(present.incarnation).toBe(step.vm.incarnation);
    });
  });

  test('never retires the newest incarnation while the goal names its VM', () => {
    always((step, world) => {
      if (step.kind !== 'retire') return;
      const vm = world.goal.vms.find(({ id }) => id === step.vmId);
      if (vm) expect(domainOf(world, step.vmId)?.mark?.incarnation).toBeLessThan(vm.incarnation);
    });
  });

  test('has at most one step at a time that touches a VM’s domain, and none for a VM that has failed', () => {
    fc.assert(
      fc.property(aWorld, (world) => {
        const kinds = new Map<string, string[]>();
        for (const step of planned(world))
          if ('vm' in step) kinds.set(step.vm.id, [...(kinds.get(step.vm.id) ?? []), step.kind]);
        for (const [id, steps] of kinds) {
          expect(steps.filter((kind) => kind !== 'supervise').length).toBeLessThanOrEqual(1);
          const memory = world.observed.memory.get(id);
          const vm = world.goal.vms.find((each) => each.id === id);
          if (memory?.failed && memory.incarnation === vm?.incarnation) expect(steps).toEqual(['stop']);
        }
      }),
      RUNS,
    );
  });
});

test('what is taken down is dead, hangs, or has had its time; what crashed or hangs is never left running or started over', () => {
  always((step, { observed, nowMs }) => {
    if (step.kind === 'provision') {
      const domain = observed.domains.find(({ mark }) => mark?.id === step.vm.id);
      expect(['shut-off', 'other', undefined]).toContain(domain?.state);
      const memory = observed.memory.get(step.vm.id);
      if (memory?.incarnation === step.vm.incarnation)
        expect(nowMs).toBeGreaterThanOrEqual(memory.notBeforeMs);
    }
    if (step.kind !== 'examine') return;
    const domain = observed.domains.find(({ name }) => name === step.domain);
    const memory = observed.memory.get(step.vm.id);
    if (step.cause === 'panic') expect(domain?.state).toBe('crashed');
    if (step.cause === 'hang') expect(domain).toMatchObject({ state: 'paused', reason: 'watchdog' });
    if (step.cause === 'unready')
      expect(nowMs - (memory?.unreadySinceMs ?? Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(UNREADY_MS);
    if (step.cause === 'reset') expect(memory?.condemned).toBe('reset');
    if (step.cause === 'power-off' || step.cause === 'killed') {
      expect(['running', 'paused', 'crashed']).not.toContain(domain?.state);
      expect(memory?.alive).toBe(true);
    }
  });
});

test('carried out in any order, plans end, and the host is then what the goal says', () => {
  fc.assert(
    fc.property(aWorld, fc.infiniteStream(fc.nat()), (start, choices) => {
      let world = start;
      let quiet = 0;
      for (let round = 0; quiet < 4; round++) {
        expect(round).toBeLessThan(200);
        const steps = planned(world);
        const chosen = steps[(choices.next().value ?? 0) % Math.max(1, steps.length)];
        quiet = chosen ? 0 : quiet + 1;
        world = chosen ? after(chosen, world) : { ...world, nowMs: world.nowMs + 5_000 };
      }
      expectReached(start, world);
    }),
    { numRuns: 500 },
  );
});

function expectReached(start: World, { goal, observed }: World): void {
  const wanted = new Set(goal.vms.map(({ id }) => id));
  for (const vm of goal.vms) {
    const domain = observed.domains.find(({ mark }) => mark?.id === vm.id);
    const memory = start.observed.memory.get(vm.id);
    const hasFailed = memory?.failed === true && memory.incarnation === vm.incarnation;
    const isNewer = (domain?.mark?.incarnation ?? 0) > vm.incarnation;
    if (isNewer || (hasFailed && vm.power === 'running')) continue;
    const runs = domain?.state === 'running' || domain?.state === 'paused';
    expect(runs).toBe(vm.power === 'running');
    if (!runs) continue;
    expect(domain?.mark?.incarnation).toBe(vm.incarnation);
    expect(domain?.mark?.rebootGeneration).toBeGreaterThanOrEqual(vm.rebootGeneration);
    expect(observed.memory.get(vm.id)).toMatchObject({ incarnation: vm.incarnation, supervised: true });
  }
  // Nothing of an instance that the goal does not name, but what a domain of someone else lies on.
  const inUse = new Set(observed.domains.filter(({ mark }) => mark === null).map(({ overlay }) => overlay));
  expect(observed.domains.filter(({ mark }) => mark?.kind === 'instance' && !wanted.has(mark.id))).toEqual(
    [],
  );
  expect(
    observed.disks.filter(
      ({ kind, vmId, path }) => kind === 'instance' && !wanted.has(vmId) && !inUse.has(path),
    ),
  ).toEqual([]);
  // A folder stays as long as there is something behind it.
  const held = [...wanted, ...observed.disks.map(({ vmId }) => vmId)];
  expect(observed.folders.filter((id) => !held.includes(id))).toEqual([]);
  // Every domain and network of someone else is as it was, and so is every machine that nobody deleted.
  for (const view of ['domains', 'networks'] as const)
    expect(observed[view].filter(({ mark }) => mark === null)).toEqual(
      start.observed[view].filter(({ mark }) => mark === null),
    );
  const buried = new Set(goal.tombstones.map(({ id }) => id));
  for (const disk of start.observed.disks)
    if (disk.kind === 'machine' && (wanted.has(disk.vmId) || !buried.has(disk.vmId)))
      expect(observed.disks).toContainEqual(aDisk(disk.vmId, 0));
  // Networks of ours that no VM needs have gone, unless something stays that the goal does not name.
  const names = new Set(goal.networks.map((network) => networkName(FLEET, network)));
  if (observed.domains.every(({ mark }) => mark === null || wanted.has(mark.id)))
    expect(observed.networks.filter(({ mark, name }) => mark !== null && !names.has(name))).toEqual([]);
}
