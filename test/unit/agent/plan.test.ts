import { describe, expect, test } from 'vitest';
import type { DiskView } from '../../../agent/disks/contract.ts';
import { domainName, networkName } from '../../../agent/executor/names.ts';
import {
  leaving,
  nextLookMs,
  type Observed,
  plan,
  type Step,
  unnamed,
  type VmMemory,
} from '../../../agent/executor/plan.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import type { Goal, VmGoal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, aVmGoal, FLEET } from '../../support/builders/goal.ts';

const REAP_MS = 1_000;
const UNREADY_MS = 5_000;

const domainOf = (vm: VmGoal, overrides: Partial<DomainView> = {}): DomainView => ({
  name: domainName(FLEET, vm.id),
  mark: {
    fleet: FLEET,
    id: vm.id,
    incarnation: vm.incarnation,
    kind: vm.kind === 'machine' ? 'machine' : 'instance',
    rebootGeneration: vm.rebootGeneration,
  },
  state: 'running',
  reason: 'booted',
  overlay: diskOf(vm).path,
  files: [diskOf(vm).path],
  ...overrides,
});

const diskOf = (vm: VmGoal): DiskView => ({
  pool: 'local',
  vmId: vm.id,
  kind: vm.kind === 'machine' ? 'machine' : 'instance',
  incarnation: vm.kind === 'machine' ? null : vm.incarnation,
  path:
    vm.kind === 'machine'
      ? `/pool/machines/${vm.id}/disk.qcow2`
      : `/pool/roles/${vm.id}/${vm.incarnation}.qcow2`,
});

const supervised = (vm: VmGoal, overrides: Partial<VmMemory> = {}): [string, VmMemory] => [
  vm.id,
  {
    ...{ incarnation: vm.incarnation, failed: false, supervised: true, alive: true, notBeforeMs: 0 },
    ...{ unreadySinceMs: null, condemned: null },
    ...overrides,
  },
];

const seen = (overrides: Partial<Observed> = {}): Observed => ({
  domains: [],
  networks: [],
  disks: [],
  folders: [],
  memory: new Map(),
  unnamedSinceMs: new Map(),
  ...overrides,
});

const OPTIONS = { reapAfterMs: REAP_MS, unreadyLimitMs: UNREADY_MS, networkNames: new Set<string>() };

function stepsFor(goal: Goal, observed: Observed, nowMs = 0): readonly Step[] {
  const networkNames = new Set(goal.networks.map((network) => networkName(FLEET, network)));
  return plan(goal, observed, nowMs, { ...OPTIONS, networkNames });
}

function planned(goal: Goal, observed: Observed, nowMs = 0): string[] {
  return stepsFor(goal, observed, nowMs).map((step) => {
    if ('vm' in step) return `${step.kind} ${step.vm.id}@${step.vm.incarnation}`;
    if ('disk' in step) return `${step.kind} ${step.disk.path}`;
    return `${step.kind} ${'vmId' in step ? step.vmId : step.network}`;
  });
}

describe('the plan of a host', () => {
  test('provisions what is not there', () => {
    expect(planned(aGoal([aVmGoal()]), seen())).toEqual(['provision crm/web-0@1']);
  });

  test('supervises what runs after a restart of the agent, and starts nothing twice', () => {
    const vm = aVmGoal();
    expect(planned(aGoal([vm]), seen({ domains: [domainOf(vm)] }))).toEqual(['supervise crm/web-0@1']);
    expect(
      planned(aGoal([vm]), seen({ domains: [domainOf(vm)], memory: new Map([supervised(vm)]) })),
    ).toEqual([]);
  });

  test('starts no machine on a shared pool without a lease; instances and other pools are no matter of it', () => {
    const [db, log] = [aMachineGoal({ pool: 'san' }), aMachineGoal({ id: 'crm/log' })];
    const web = aVmGoal({ pool: 'san' });
    const steps = plan(aGoal([db, log, web]), seen(), 0, { ...OPTIONS, withoutLease: new Set(['san']) });
    expect(steps.map((step) => ('vm' in step ? `${step.kind} ${step.vm.id}` : step.kind))).toEqual([
      'provision crm/log',
      'provision crm/web-0',
    ]);
    // What runs is the guard's to stop; and its end is looked into all the same.
    const observed = seen({ memory: new Map([supervised(db)]) });
    const ended = plan(aGoal([db]), observed, 0, { ...OPTIONS, withoutLease: new Set(['san']) });
    expect(ended).toEqual([{ kind: 'examine', vm: db, domain: null, cause: 'killed' }]);
  });

  test('looks into every end once, by what the domain tells of it, before it starts again', () => {
    const vm = aVmGoal();
    const ends: [Partial<DomainView> | null, string][] = [
      [{ state: 'crashed', reason: 'panicked' }, 'panic'],
      [{ state: 'paused', reason: 'watchdog' }, 'hang'],
      [{ state: 'shut-off', reason: 'shutdown' }, 'power-off'],
      [{ state: 'shut-off', reason: 'crashed' }, 'killed'],
      [{ state: 'shut-off', reason: 'destroyed' }, 'killed'],
      [null, 'killed'],
    ];
    for (const [end, cause] of ends) {
      const domains = end ? [domainOf(vm, end)] : [];
      const observed = seen({ domains, memory: new Map([supervised(vm)]) });
      expect(stepsFor(aGoal([vm]), observed)).toEqual([
        { kind: 'examine', vm, domain: domains[0]?.name ?? null, cause },
      ]);
    }
  });

  test('a crash while the agent was away is looked into all the same; one of a guest that is to be off is not', () => {
    const vm = aVmGoal();
    const domains = [domainOf(vm, { state: 'crashed', reason: 'panicked' })];
    expect(planned(aGoal([vm]), seen({ domains }))).toEqual(['examine crm/web-0@1']);
    expect(planned(aGoal([{ ...vm, power: 'stopped' }]), seen({ domains }))).toEqual(['stop crm/web-0@1']);
  });

  test('a guest that a full disk paused is no guest that hangs', () => {
    const vm = aVmGoal();
    const domains = [domainOf(vm, { state: 'paused', reason: 'io-error' })];
    expect(planned(aGoal([vm]), seen({ domains, memory: new Map([supervised(vm)]) }))).toEqual([]);
  });

  test('takes down what is not ready for too long, not a moment sooner, and knows when to look again', () => {
    const vm = aVmGoal();
    const memory = new Map([supervised(vm, { unreadySinceMs: 1_000 })]);
    const observed = seen({ domains: [domainOf(vm)], memory });
    expect(planned(aGoal([vm]), observed, 5_999)).toEqual([]);
    expect(nextLookMs(observed, 5_999, OPTIONS)).toBe(6_000);
    expect(stepsFor(aGoal([vm]), observed, 6_000)).toMatchObject([{ kind: 'examine', cause: 'unready' }]);
  });

  test('takes down what resets itself again and again', () => {
    const vm = aVmGoal();
    const memory = new Map([supervised(vm, { condemned: 'reset' })]);
    expect(stepsFor(aGoal([vm]), seen({ domains: [domainOf(vm)], memory }))).toMatchObject([
      { kind: 'examine', cause: 'reset' },
    ]);
  });

  test('starts again what powered itself off, not before its wait is over', () => {
    const vm = aMachineGoal();
    const off = [domainOf(vm, { state: 'shut-off' })];
    const memory = new Map([supervised(vm, { supervised: false, alive: false, notBeforeMs: 500 })]);
    expect(planned(aGoal([vm]), seen({ domains: off, memory }), 499)).toEqual([]);
    expect(planned(aGoal([vm]), seen({ domains: off, memory }), 500)).toEqual(['provision crm/db@1']);
  });

  test('retires a superseded incarnation at once and starts the new one only when it is gone', () => {
    const old = aVmGoal({ incarnation: 1 });
    const vm = aVmGoal({ incarnation: 2 });
    const observed = seen({ domains: [domainOf(old)], disks: [diskOf(old)] });
    expect(planned(aGoal([vm]), observed)).toEqual(['retire crm/web-0']);
    expect(planned(aGoal([vm]), seen({ disks: [diskOf(old)] }))).toEqual([
      'discard /pool/roles/crm/web-0/1.qcow2',
      'provision crm/web-0@2',
    ]);
  });

  test('leaves a newer incarnation than the goal names alone', () => {
    const newer = aVmGoal({ incarnation: 3 });
    expect(planned(aGoal([aVmGoal({ incarnation: 2 })]), seen({ domains: [domainOf(newer)] }))).toEqual([]);
  });

  test('quarantines an instance nobody names, then reaps domain and overlay', () => {
    const vm = aVmGoal();
    const things = { domains: [domainOf(vm)], disks: [diskOf(vm)] };
    const keys = unnamed(aGoal([]), things);
    expect(keys).toEqual([domainName(FLEET, vm.id), diskOf(vm).path]);
    const unnamedSinceMs = new Map(keys.map((key) => [key, 0]));
    expect(planned(aGoal([]), seen({ ...things, unnamedSinceMs }), REAP_MS - 1)).toEqual([]);
    expect(planned(aGoal([]), seen({ ...things, unnamedSinceMs }), REAP_MS)).toEqual(['retire crm/web-0']);
    expect(planned(aGoal([]), seen({ disks: things.disks, unnamedSinceMs }), REAP_MS)).toEqual([
      'discard /pool/roles/crm/web-0/1.qcow2',
    ]);
  });

  test('never touches what is not ours', () => {
    const foreign = domainOf(aVmGoal(), { mark: null, name: 'someone-elses' });
    const network = { name: 'default', mark: null, active: true, bridge: null, leases: [] };
    expect(planned(aGoal([]), seen({ domains: [foreign], networks: [network] }), 1e12)).toEqual([]);
  });

  test('keeps a machine that no goal names, running and on disk, until a tombstone says otherwise', () => {
    const vm = aMachineGoal({ incarnation: 4 });
    const observed = seen({ domains: [domainOf(vm)], disks: [diskOf(vm)] });
    expect(planned(aGoal([]), observed, 1e12)).toEqual([]);
    const tombstones = [{ id: vm.id, upToIncarnation: 4 }];
    expect(planned(aGoal([], { tombstones }), observed)).toEqual([
      'retire crm/db',
      'bury /pool/machines/crm/db/disk.qcow2',
    ]);
    expect(planned(aGoal([], { tombstones: [{ id: vm.id, upToIncarnation: 3 }] }), observed)).toEqual([]);
    expect(planned(aGoal([vm], { tombstones }), observed)).toEqual(['supervise crm/db@4']);
  });

  test('keeps the disk of a machine through a new incarnation', () => {
    const old = aMachineGoal({ incarnation: 1 });
    const vm = aMachineGoal({ incarnation: 2 });
    expect(planned(aGoal([vm]), seen({ disks: [diskOf(old)] }))).toEqual(['provision crm/db@2']);
  });

  test('lets go at once of what lives elsewhere by now; the disk of a machine stays', () => {
    const [vm, machine] = [aVmGoal({ incarnation: 3 }), aMachineGoal({ incarnation: 3 })];
    const observed = seen({
      domains: [domainOf(vm), domainOf(machine)],
      disks: [diskOf(vm), diskOf(machine)],
    });
    const superseded = (upToIncarnation: number) =>
      aGoal([], { superseded: [vm.id, machine.id].map((id) => ({ id, upToIncarnation })) });
    expect(planned(superseded(3), observed)).toEqual(['retire crm/web-0', 'retire crm/db']);
    expect(leaving(superseded(3), observed, [])).toEqual(['crm/db', 'crm/web-0']);
    expect(planned(superseded(2), observed)).toEqual([]);
    const left = seen({ disks: [diskOf(vm), diskOf(machine)] });
    expect(planned(superseded(3), left)).toEqual(['discard /pool/roles/crm/web-0/3.qcow2']);
    expect(leaving(superseded(3), { ...left, disks: [diskOf(machine)] }, [])).toEqual([]);
  });

  test('sweeps a folder when nothing else of its VM is there, and only then', () => {
    const vm = aVmGoal();
    const machine = aMachineGoal();
    const folders = [vm.id, machine.id];
    expect(planned(aGoal([]), seen({ folders }))).toEqual(['sweep crm/web-0', 'sweep crm/db']);
    expect(planned(aGoal([]), seen({ folders, disks: [diskOf(vm), diskOf(machine)] }))).toEqual([]);
    expect(planned(aGoal([]), seen({ folders, domains: [domainOf(vm), domainOf(machine)] }))).toEqual([]);
    expect(planned(aGoal([vm]), seen({ folders }))).toEqual(['provision crm/web-0@1', 'sweep crm/db']);
  });

  test('tells as leaving what is there, and what may yet come to be', () => {
    const [vm, machine] = [aVmGoal(), aMachineGoal()];
    const nothing = { domains: [], disks: [], folders: [] };
    expect(leaving(aGoal([]), nothing, [])).toEqual([]);
    expect(leaving(aGoal([]), { ...nothing, folders: [vm.id] }, [])).toEqual([vm.id]);
    expect(leaving(aGoal([]), { ...nothing, disks: [diskOf(vm)] }, [])).toEqual([vm.id]);
    expect(leaving(aGoal([]), nothing, [vm.id])).toEqual([vm.id]);
    expect(leaving(aGoal([vm]), { ...nothing, folders: [vm.id] }, [vm.id])).toEqual([]);
    // A machine that nobody deleted does not leave; it is a stranger.
    expect(leaving(aGoal([]), { ...nothing, disks: [diskOf(machine)], folders: [machine.id] }, [])).toEqual(
      [],
    );
  });

  test('tries nothing more at an incarnation that failed', () => {
    const vm = aVmGoal();
    const memory = new Map([supervised(vm, { failed: true, supervised: false })]);
    expect(planned(aGoal([vm]), seen({ domains: [domainOf(vm)], memory }))).toEqual([]);
    expect(planned(aGoal([vm]), seen({ memory }))).toEqual([]);
  });

  test('reboots by generation, and stops what the goal wants stopped', () => {
    const before = aVmGoal();
    const after = aVmGoal({ rebootGeneration: 1 });
    const observed = seen({ domains: [domainOf(before)], memory: new Map([supervised(before)]) });
    expect(planned(aGoal([after]), observed)).toEqual(['reboot crm/web-0@1']);
    expect(planned(aGoal([aVmGoal({ power: 'stopped' })]), observed)).toEqual(['stop crm/web-0@1']);
  });

  test('removes a network only when nothing outside the goal could be on it', () => {
    const network = {
      name: 'weft-5eed-9',
      mark: { fleet: FLEET, id: 'old/web' },
      active: true,
      bridge: null,
      leases: [],
    };
    expect(planned(aGoal([]), seen({ networks: [network] }))).toEqual(['remove-network weft-5eed-9']);
    const stranger = domainOf(aMachineGoal());
    expect(planned(aGoal([]), seen({ networks: [network], domains: [stranger] }))).toEqual([]);
  });
});
