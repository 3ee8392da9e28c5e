import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../../controller/model/index.ts';
import { MOST_FAILURES } from '../../../controller/reconciler/failures.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { FAILURES_HELD_AGAINST_A_HOST } from '../../../controller/scheduler/scorers/earlier-failures.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { PlanningWorld } from './planning-world.ts';

const ID = 'crm/web-0';
/** Longer than the longest wait, and than what it takes to be forgiven. */
const ROUND_MS = 400_000;

function aWorldOf(hosts: readonly string[], machine = false): PlanningWorld {
  const world = new PlanningWorld();
  for (const host of hosts) world.addHost(aHost(host));
  const roles = machine ? {} : { web: aRole({ instances: 1 }) };
  world.put('apps/crm', anApplication('crm', { roles, machines: machine ? { 'web-0': aMachine() } : {} }));
  return world;
}

const step = (world: PlanningWorld, forMs = ROUND_MS) => {
  const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
  world.write(planned);
  world.pass(forMs);
  return planned;
};
const vm = (world: PlanningWorld) => world.records.vms.get(ID) as VmRecord;
const failsWith = (code: string) => (): Partial<VmReport> => ({
  phase: 'failed',
  failure: { code, message: 'no', consoleTail: 'the end' },
});

/** Lets every try fail until it is given up. @returns the hosts that it was tried on, in order. */
function failUntilGivenUp(world: PlanningWorld, code: string, most = 40): string[] {
  const tried: string[] = [];
  for (let round = 0; round < most; round++) {
    step(world, 0);
    const { host, state } = vm(world);
    if (state === 'failed') return tried;
    if (state === 'placing' && host !== null) tried.push(host);
    world.letHostsFollow(failsWith(code));
    step(world);
    world.letHostsFollow(failsWith(code));
  }
  return tried;
}

describe('an instance that fails again and again', () => {
  test('goes to another host after a crash loop, and is given up after the third', () => {
    const world = aWorldOf(['h1', 'h2']);
    const tried = failUntilGivenUp(world, 'guest-crash-loop');
    expect(tried).toHaveLength(3);
    expect(tried[1]).not.toBe(tried[0]);
    expect(vm(world)).toMatchObject({
      ...{ state: 'failed', retryAtMs: null, failure: { code: 'guest-crash-loop', consoleTail: 'the end' } },
    });
  });

  test('is left where it was given up, whatever its host says and however long it lasts', () => {
    const world = aWorldOf(['h1', 'h2']);
    failUntilGivenUp(world, 'guest-crash-loop');
    const before = vm(world);
    for (const phase of ['failed', 'booting', 'ready', 'stopped'] as const) {
      world.letHostsFollow(() => ({ phase }));
      expect(step(world).puts).toEqual([]);
    }
    expect(vm(world)).toEqual(before);
  });

  test('stays where it is when no other host takes it, and that is said', () => {
    const world = aWorldOf(['h1']);
    world.addHost(aHost('h2', {}, { draining: true }));
    const messages: string[] = [];
    for (let round = 0; round < 8; round++) {
      messages.push(...step(world).events.map(({ message }) => message));
      world.letHostsFollow(failsWith('task-failed'));
    }
    expect(vm(world).host).toBe('h1');
    expect(messages).toContain(
      'incarnation 4 on h1: its wait is over, though it failed 3 times there: no other host is better',
    );
    expect(vm(world).placement?.hosts.find(({ host }) => host === 'h1')?.reasons).toContain(
      'it failed 3 times here',
    );
  });

  test('gets its chance on a host that comes later', () => {
    const world = aWorldOf(['h1']);
    failUntilGivenUp(world, 'task-failed');
    expect(vm(world)).toMatchObject({ state: 'failed', failedOn: { h1: MOST_FAILURES } });
    world.addHost(aHost('h2'));
    for (let round = 0; round < 4; round++) {
      step(world);
      world.letHostsFollow();
    }
    expect(vm(world)).toMatchObject({ state: 'ready', host: 'h2' });
  });

  test('is forgiven when it has been ready for a minute, not before', () => {
    const world = aWorldOf(['h1', 'h2']);
    step(world);
    world.letHostsFollow(failsWith('task-failed'));
    step(world);
    step(world, 0);
    world.letHostsFollow();
    step(world, 59_999);
    expect(vm(world)).toMatchObject({ state: 'ready', failures: 1, failure: null });
    expect(step(world, 1).nextMs).toBe(world.nowMs);
    expect(vm(world).failures).toBe(1);
    step(world);
    expect(vm(world)).toMatchObject({ failures: 0, failedOn: {} });
    expect(step(world).puts).toEqual([]);
  });

  const chances: [string, (world: PlanningWorld) => void][] = [
    ['re-imaged', (world) => world.put(`vms/${ID}`, { ...vm(world), reimageRequested: true })],
    ['moved', (world) => world.put(`vms/${ID}`, { ...vm(world), moveTo: '*' })],
    [
      'defined anew',
      (world) =>
        world.put('apps/crm', anApplication('crm', { roles: { web: aRole({ env: { NEW: '1' } }) } })),
    ],
  ];
  test.each(chances)('begins anew when it is %s', (_how, act) => {
    const world = aWorldOf(['h1', 'h2']);
    failUntilGivenUp(world, 'guest-crash-loop');
    const { incarnation } = vm(world);
    act(world);
    step(world, 0);
    expect(vm(world)).toMatchObject({
      ...{ state: 'placing', incarnation: incarnation + 1, failures: 0, failedOn: {} },
    });
  });
});

test('a machine is tried for ever, where its disk is', () => {
  const world = aWorldOf(['h1', 'h2'], true);
  const tried = failUntilGivenUp(world, 'task-failed', 30);
  expect(tried).toHaveLength(30);
  expect(new Set(tried).size).toBe(1);
});

test('whatever fails however, an instance is given up at last, on two hosts where there are two, and then all is at rest', () => {
  const codes = fc.infiniteStream(
    fc.constantFrom('guest-crash-loop', 'task-failed', 'guest-unreachable', 'hypervisor-failed'),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), codes, (count, stream) => {
      const world = aWorldOf(Array.from({ length: count }, (_, index) => `h${index}`));
      for (let round = 0; vm(world)?.state !== 'failed'; round++) {
        expect(round).toBeLessThan(3 * MOST_FAILURES);
        world.letHostsFollow(failsWith(stream.next().value ?? 'task-failed'));
        step(world);
      }
      const counts = Object.values(vm(world).failedOn);
      expect(counts.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(MOST_FAILURES);
      expect(counts.length).toBeGreaterThanOrEqual(Math.min(2, count));
      // No host gets more than its share while another one has had less.
      const spare = count > counts.length;
      if (spare) expect(Math.max(...counts)).toBeLessThanOrEqual(FAILURES_HELD_AGAINST_A_HOST + 2);
      world.letHostsFollow(failsWith('task-failed'));
      expect(step(world).puts).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
