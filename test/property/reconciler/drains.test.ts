import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VmReport } from '../../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { SHARED_POOL } from '../../simulation/support/shared-pool.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { PlanningWorld } from './planning-world.ts';

/** What an operator, or a user, does next; `fails`: the hosts on which whatever is begun fails from now on. */
const anyStep = fc.oneof(
  fc.record({ kind: fc.constant('drain' as const), host: fc.nat(3), cold: fc.boolean() }),
  fc.record({ kind: fc.constant('undrain' as const), host: fc.nat(3) }),
  fc.record({ kind: fc.constant('move' as const), index: fc.nat(5) }),
  fc.record({ kind: fc.constant('reimage' as const), index: fc.nat(5) }),
  fc.record({ kind: fc.constant('fails' as const), hosts: fc.nat(15) }),
  fc.record({ kind: fc.constant('wait' as const), passes: fc.nat(4) }),
);
const anyRun = fc.record({
  instances: fc.integer({ min: 1, max: 6 }),
  memoriesMiB: fc.array(fc.constantFrom(300, 600, 4096), { minLength: 2, maxLength: 4 }),
  steps: fc.array(anyStep, { minLength: 1, maxLength: 14 }),
});
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

const PHASES = ['queued', 'fetching', 'booting', 'ready'] as const;

/** Hosts take a pass for each phase; what runs goes on running, and what is begun on a host that fails comes to nothing. */
class Operated {
  readonly world = new PlanningWorld();
  readonly #ages = new Map<string, number>();
  #failing = 0;

  constructor(memoriesMiB: readonly number[], instances: number) {
    for (const [index, memoryMiB] of memoriesMiB.entries())
      this.world.addHost(aHost(`h${index}`, { memoryMiB, pools: [{ ...SHARED_POOL, sizeMiB: 102_400 }] }));
    const roles = { web: aRole({ instances }) };
    this.world.put(
      'apps/crm',
      anApplication('crm', { roles, machines: { db: aMachine({ pool: SHARED_POOL.name }) } }),
    );
  }

  get vms(): readonly VmRecord[] {
    return [...this.world.records.vms.values()];
  }

  do(step: Step): void {
    const { records } = this.world;
    if (step.kind === 'drain' || step.kind === 'undrain') {
      const host = records.hosts.get(`h${step.host}`);
      if (!host) return;
      const draining = step.kind === 'drain';
      const cold = step.kind === 'drain' && step.cold;
      const drain = draining ? { atMs: this.world.nowMs, by: 'ann', cold, vms: 0 } : null;
      this.world.put(`hosts/${host.name}`, { ...host, draining, drain } satisfies HostRecord);
    } else if (step.kind === 'fails') this.#failing = step.hosts;
    else if (step.kind === 'move' || step.kind === 'reimage') {
      const vm = records.vms.get(`crm/web-${step.index}`);
      if (!vm || vm.host === null) return;
      const wish = step.kind === 'move' ? { moveTo: '*' } : { reimageRequested: true };
      this.world.put(`vms/${vm.id}`, { ...vm, ...wish });
    }
  }

  /** @returns whether something was written. */
  pass(): boolean {
    const planned = plan(this.world.snapshot(), this.world.nowMs, DEFAULT_SETTINGS);
    this.world.write(planned);
    this.world.letHostsFollow((vm) => this.#say(vm));
    return planned.puts.length + planned.deletes.length + planned.events.length > 0;
  }

  #say(vm: VmRecord): Partial<VmReport> {
    if (vm.power === 'stopped') return { phase: 'stopped' };
    const key = `${vm.host} ${vm.id}@${vm.incarnation}`;
    const age = this.#ages.get(key) ?? 0;
    const isFailing = age < PHASES.length - 1 && ((this.#failing >> Number(vm.host?.slice(1))) & 1) === 1;
    if (!isFailing) this.#ages.set(key, age + 1);
    return { phase: isFailing ? 'failed' : (PHASES[age] ?? 'ready') };
  }
}

function check(operated: Operated, before: ReadonlyMap<string, VmRecord>): void {
  const { claims, hosts, networks } = operated.world.records;
  const placed: string[] = [];
  for (const vm of operated.vms) {
    for (const each of [vm, vm.successor])
      if (each?.host) placed.push(`${each.host} ${vm.id}@${each.incarnation}`);
    const earlier = before.get(vm.id);
    if (!earlier) continue;
    expect(vm.incarnation).toBeGreaterThanOrEqual(earlier.incarnation);
    if (earlier.state === 'ready' && vm.role !== null && !earlier.reimageRequested)
      expect(vm.state, `${vm.id} was ready, and nothing but its successor may end that`).toBe('ready');
    if (vm.role === null && earlier.host !== null && vm.host !== earlier.host)
      expect(vm.proof).toMatchObject({ kind: 'agent', host: earlier.host });
  }
  const claimed = [...claims].flatMap(([host, { vms }]) => Object.keys(vms).map((key) => `${host} ${key}`));
  expect(claimed.sort()).toEqual(placed.sort());
  for (const [name, { vms }] of claims)
    expect(Object.values(vms).reduce((sum, { memoryMiB }) => sum + memoryMiB, 0)).toBeLessThanOrEqual(
      hosts.get(name)?.offer?.memoryMiB ?? 0,
    );
  for (const { addresses } of networks.values())
    expect(new Set(Object.values(addresses)).size).toBe(Object.keys(addresses).length);
}

function passes(operated: Operated, most: number): boolean {
  for (let pass = 0; pass < most; pass++) {
    const before = new Map(operated.world.records.vms);
    const wrote = operated.pass();
    check(operated, before);
    if (!wrote && pass > PHASES.length) return true;
  }
  return false;
}

test('drains and moves take no ready instance away, promise nothing twice, end, and leave nothing when they are ended', () => {
  fc.assert(
    fc.property(anyRun, ({ memoriesMiB, instances, steps }) => {
      const operated = new Operated(memoriesMiB, instances);
      passes(operated, 40);
      for (const step of steps) {
        operated.do(step);
        passes(operated, step.kind === 'wait' ? step.passes : 2);
        operated.world.pass(7_000);
      }
      operated.do({ kind: 'fails', hosts: 0 });
      for (let host = 0; host < 4; host++) operated.do({ kind: 'undrain', host });
      let isAtRest = false;
      for (let round = 0; round < 8; round++) {
        operated.world.pass(400_000);
        isAtRest = passes(operated, 60);
      }
      expect(isAtRest, 'it comes to rest').toBe(true);
      for (const vm of operated.vms) {
        expect(vm.successor ?? null).toBe(null);
        expect(vm.power).toBe('running');
      }
      for (const host of operated.world.records.hosts.values()) {
        expect(host.superseded).toEqual({});
        expect(host.mode ?? 'in-service').toBe('in-service');
      }
      const kept = [...operated.world.records.networks.values()].flatMap(({ addresses }) =>
        Object.keys(addresses),
      );
      expect(kept.filter((name) => name.includes('@'))).toEqual([]);
    }),
    { numRuns: 120 },
  );
});
