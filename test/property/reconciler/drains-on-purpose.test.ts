import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { retiredAfter, withoutMachine } from '../../../controller/reconciler/retired.ts';
import { isTakenAway } from '../../simulation/support/invariants/drained.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { ServedWorld } from './served-world.ts';

const DRAIN_MS = 20_000;
const HTTP = {
  type: 'input',
  protocol: 'tcp',
  port: 80,
  targetPort: 80,
  from: [],
  drainMs: DRAIN_MS,
} as const;

/** Its connections are the last bit's. */
const MACHINE = 'crm/db-3';

const anyStep = fc.oneof(
  fc.record({ kind: fc.constant('declare' as const), instances: fc.nat(4), version: fc.nat(2) }),
  fc.record({ kind: fc.constant('leave out' as const) }),
  fc.record({ kind: fc.constant('delete' as const) }),
  fc.record({ kind: fc.constant('delete machine' as const) }),
  fc.record({
    kind: fc.constantFrom('reimage' as const, 'reboot' as const, 'move' as const),
    index: fc.nat(3),
  }),
  fc.record({
    kind: fc.constantFrom('drain' as const, 'undrain' as const),
    host: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom<number>(1_000, 9_000, 20_000) }),
  // Whose connections end from now on: a bit for each.
  fc.record({ kind: fc.constant('connections' as const), open: fc.nat(15) }),
);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

/** What users and operators ask of an application that the world is connected to. */
class Served {
  readonly world: ServedWorld;
  #open = 15;

  constructor(hosts: number, memoryMiB: number) {
    this.world = new ServedWorld(hosts, { memoryMiB });
    this.world.sessions = (backend) => (this.#open >> Number(/-(\d+)\./.exec(backend)?.[1] ?? '0')) & 1;
    this.#declare(3, 0);
  }

  do(step: Step): void {
    const { planning } = this.world;
    if (step.kind === 'declare') this.#declare(step.instances, step.version);
    else if (step.kind === 'connections') this.#open = step.open;
    else if (step.kind === 'wait') planning.pass(step.ms);
    else if (step.kind === 'leave out') this.#declare(0, 0, 'other');
    else if (step.kind === 'delete machine') this.#deleteMachine();
    else if (step.kind === 'delete') {
      const application = planning.records.applications.get('crm');
      if (application) planning.put('apps/crm', { ...application, deleting: true });
    } else if ('host' in step) {
      const host = planning.records.hosts.get(`h${step.host}`);
      const draining = step.kind === 'drain';
      const drain = draining ? { atMs: planning.nowMs, by: 'ann', cold: false, vms: 0 } : null;
      if (host) planning.put(`hosts/${host.name}`, { ...host, draining, drain } satisfies HostRecord);
    } else {
      const vm = this.world.vm(`crm/web-${step.index}`);
      if (vm && vm.host !== null && !vm.deleting)
        planning.put(`vms/${vm.id}`, { ...vm, ...wishFor(step.kind, vm) });
    }
  }

  /** @returns whether something was written. */
  pass(): boolean {
    const { records, nowMs } = this.world.planning;
    const before = [...records.vms.values()];
    const { puts, deletes, events } = this.world.pass();
    for (const vm of before) this.#check(vm, records.vms.get(vm.id), nowMs);
    return puts.length + deletes.length + events.length > 0;
  }

  #deleteMachine(): void {
    const { planning } = this.world;
    const [vm, application] = [this.world.vm(MACHINE), planning.records.applications.get('crm')];
    if (!vm || vm.deleting || !application) return;
    planning.put(`vms/${MACHINE}`, { ...vm, deleteRequested: true });
    planning.put('apps/crm', withoutMachine(application, 'db-3'));
  }

  #check(before: VmRecord, after: VmRecord | undefined, nowMs: number): void {
    if ((before.role !== 'web' && before.id !== MACHINE) || !isTakenAway(before, after)) return;
    expect(before.state, `${before.id} is taken away`).not.toBe('ready');
    if (before.state !== 'draining' || nowMs >= before.stateSinceMs + DRAIN_MS) return;
    expect(
      this.world.sessions(`${before.id.slice('crm/'.length)}.${before.incarnation}`),
      `${before.id} has connections`,
    ).toBe(0);
  }

  #declare(instances: number, version: number, role = 'web'): void {
    const { planning } = this.world;
    const known = planning.records.applications.get('crm');
    if (known?.deleting) return;
    const made = anApplication('crm', {
      // Another role on the same port would have it at once.
      roles: {
        [role]: aRole({
          instances,
          endpoints: { http: role === 'web' ? HTTP : { ...HTTP, port: 81 } },
          env: { VERSION: `${version}` },
        }),
      },
      machines: { 'db-3': aMachine({ endpoints: { sql: { ...HTTP, port: 90 } } }) },
    });
    const generation = (known?.generation ?? 0) + 1;
    planning.put('apps/crm', { ...made, generation, ...retiredAfter(known ?? null, made.service) });
  }
}

function wishFor(kind: 'reimage' | 'reboot' | 'move', vm: VmRecord): Partial<VmRecord> {
  if (kind === 'reimage') return { reimageRequested: true };
  if (kind === 'move') return { moveTo: '*' };
  return { rebootGeneration: vm.rebootGeneration + 1, rebootFrom: vm.rebootFrom ?? vm.rebootGeneration };
}

test('whatever is asked, nothing that the world is connected to is taken away undrained, and all of it is done in the end', () => {
  const anyRun = fc.record({
    hosts: fc.integer({ min: 1, max: 3 }),
    memoryMiB: fc.constantFrom(400, 4_096),
    steps: fc.array(anyStep, { minLength: 1, maxLength: 16 }),
  });
  fc.assert(
    fc.property(anyRun, ({ hosts, memoryMiB, steps }) => {
      const served = new Served(hosts, memoryMiB);
      for (let pass = 0; pass < 12; pass++) served.pass();
      for (const step of steps) {
        served.do(step);
        for (let pass = 0; pass < 3; pass++) served.pass();
      }
      for (let host = 1; host <= 3; host++) served.do({ kind: 'undrain', host });
      let isAtRest = false;
      for (let round = 0; round < 12; round++) {
        served.do({ kind: 'wait', ms: 60_000 });
        for (let pass = 0; pass < 80; pass++) {
          isAtRest = !served.pass();
          if (isAtRest) break;
        }
      }
      expect(isAtRest, 'it comes to rest').toBe(true);
      for (const { id, state, drain, rebootFrom } of served.world.planning.records.vms.values())
        expect({ id, state, drain: drain ?? null, rebootFrom: rebootFrom ?? null }).toEqual({
          ...{ id, drain: null, rebootFrom: null },
          state: expect.stringMatching(/^(ready|pending)$/),
        });
      const { retired, retiredMachines } = served.world.planning.records.applications.get('crm') ?? {};
      expect([retired, retiredMachines]).toEqual([undefined, undefined]);
    }),
    { numRuns: 150 },
  );
});
