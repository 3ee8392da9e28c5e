import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ClaimsRecord, VM_STATES, type VmRecord } from '../../../controller/model/index.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';
import { PlanningWorld } from './planning-world.ts';

/** Longer than the longest wait after a failure. */
const ROUND_MS = 400_000;

/** Any records that a controller may have left behind when it died, and any number wanted of them. */
const anyWorld = fc.record({
  wanted: fc.integer({ min: 0, max: 5 }),
  machine: fc.boolean(),
  hosts: fc.array(fc.record({ draining: fc.boolean() }), { minLength: 1, maxLength: 4 }),
  /** One that is silent for good; two would make healing hold still. */
  dead: fc.integer({ min: 1, max: 8 }),
  vms: fc.uniqueArray(
    fc.record({
      index: fc.integer({ min: 0, max: 7 }),
      state: fc.constantFrom(...VM_STATES),
      host: fc.integer({ min: -1, max: 4 }),
      incarnation: fc.integer({ min: 1, max: 9 }),
      failures: fc.integer({ min: 0, max: 3 }),
      deleting: fc.boolean(),
      reimageRequested: fc.boolean(),
      moves: fc.boolean(),
      definition: fc.constantFrom('older', 'oldest'),
    }),
    { selector: ({ index }) => index, maxLength: 8 },
  ),
  machineState: fc.constantFrom(...VM_STATES),
});

type AnyWorld = typeof anyWorld extends fc.Arbitrary<infer T> ? T : never;

/** States in which a VM has no host. */
const HOSTLESS = new Set(['pending']);

function worldOf({ wanted, machine, hosts, dead, vms, machineState }: AnyWorld): PlanningWorld {
  const world = new PlanningWorld();
  for (const [index, { draining }] of hosts.entries()) world.addHost(aHost(`h${index}`, {}, { draining }));
  if (dead < hosts.length) world.silence(`h${dead}`);
  // One place at least is left.
  world.put('hosts/h0', aHost('h0'));
  world.put(
    'apps/crm',
    anApplication('crm', {
      roles: { web: aRole({ instances: wanted }) },
      machines: machine ? { db: aMachine() } : {},
    }),
  );
  for (const vm of vms) {
    const host = HOSTLESS.has(vm.state) || vm.host < 0 || vm.host >= hosts.length ? null : `h${vm.host}`;
    const { moves, index, ...rest } = vm;
    add(
      world,
      aVm({
        ...rest,
        id: `crm/web-${index}`,
        index,
        host,
        state: host === null && vm.state !== 'backing-off' ? 'pending' : vm.state,
        moveTo: moves ? '*' : null,
        retryAtMs: vm.state === 'backing-off' ? 1 : null,
        address: `10.128.0.${10 + index}`,
      }),
    );
  }
  if (machine)
    add(
      world,
      aVm({
        id: 'crm/db',
        role: null,
        index: null,
        kind: 'machine',
        host: 'h0',
        networkId: 'crm/machines',
        address: '10.128.4.10',
        state: machineState === 'pending' ? 'placing' : machineState,
        retryAtMs: machineState === 'backing-off' ? 1 : null,
      }),
    );
  return world;
}

function add(world: PlanningWorld, vm: VmRecord): void {
  world.put(`vms/${vm.id}`, vm);
  const network = world.records.networks.get(vm.networkId);
  const number = vm.role === null ? 2 : 1;
  const base = `10.128.${4 * (number - 1)}`;
  world.put(`networks/${vm.networkId}`, {
    id: vm.networkId,
    number,
    cidr: `${base}.0/22`,
    gateway: `${base}.1`,
    addresses: { ...network?.addresses, [vm.id]: vm.address },
  });
  if (vm.host === null) return;
  const { cpus, memoryMiB, diskMiB } = vm.size;
  const claims = world.records.claims.get(vm.host)?.vms ?? {};
  world.put(`claims/${vm.host}`, {
    vms: { ...claims, [`${vm.id}@${vm.incarnation}`]: { cpus, memoryMiB, diskMiB, pool: vm.pool } },
  });
}

/** Plans and writes until nothing is left to write. */
function settle(world: PlanningWorld): void {
  for (let pass = 0; pass < 50; pass++) {
    const before = new Map(world.records.vms);
    const planned = plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS);
    world.write(planned);
    checkInvariants(world, before);
    world.letHostsFollow();
    if (planned.puts.length + planned.deletes.length + planned.events.length > 0) continue;
    if (planned.nextMs !== null)
      expect(planned.nextMs, 'a wait that is over is acted on').toBeGreaterThan(world.nowMs);
    return;
  }
  throw new Error('the plan does not come to rest');
}

function checkInvariants(world: PlanningWorld, before: ReadonlyMap<string, VmRecord>): void {
  const { vms, claims, hosts } = world.records;
  for (const vm of vms.values()) {
    const earlier = before.get(vm.id);
    if (!earlier) continue;
    expect(vm.incarnation, 'incarnations only grow').toBeGreaterThanOrEqual(earlier.incarnation);
    if (vm.incarnation === earlier.incarnation && vm.host !== null)
      expect(vm.host, 'a host only changes with a new incarnation').toBe(earlier.host);
    if (vm.role === null) expect(vm.host, 'a machine never leaves its disk').toBe(earlier.host ?? vm.host);
  }
  for (const [host, record] of claims) {
    const memoryMiB = sum(record, (claim) => claim.memoryMiB);
    expect(memoryMiB, 'capacity is never over-promised').toBeLessThanOrEqual(
      hosts.get(host)?.offer?.memoryMiB ?? Number.POSITIVE_INFINITY,
    );
  }
}

const sum = (record: ClaimsRecord, of: (claim: ClaimsRecord['vms'][string]) => number) =>
  Object.values(record.vms).reduce((total, claim) => total + of(claim), 0);

test('`instances: n` converges from any state', () => {
  fc.assert(
    fc.property(anyWorld, (any) => {
      const world = worldOf(any);
      for (let round = 0; round < 24; round++) {
        settle(world);
        world.pass(ROUND_MS);
      }
      const ready = [...world.records.vms.values()]
        .filter((vm) => vm.state === 'ready' && !vm.deleting)
        .map(({ id }) => id)
        .sort();
      const wanted = Array.from({ length: any.wanted }, (_, index) => `crm/web-${index}`);
      expect(ready).toEqual([...(any.machine ? ['crm/db'] : []), ...wanted].sort());
      expect(world.records.vms.size).toBe(ready.length);
      const claimed = [...world.records.claims.values()].flatMap(({ vms }) => Object.keys(vms));
      expect(claimed.length).toBe(ready.length);
    }),
    { numRuns: 150 },
  );
});

test('a plan is made of the world alone: the same world and time, the same plan, and the world untouched', () => {
  fc.assert(
    fc.property(anyWorld, (any) => {
      const world = worldOf(any);
      const snapshot = world.snapshot();
      const before = JSON.stringify([...snapshot.vms, ...snapshot.claims, ...snapshot.networks]);
      const first = plan(snapshot, world.nowMs, DEFAULT_SETTINGS);
      expect(plan(snapshot, world.nowMs, DEFAULT_SETTINGS)).toEqual(first);
      expect(JSON.stringify([...snapshot.vms, ...snapshot.claims, ...snapshot.networks])).toBe(before);
    }),
    { numRuns: 60 },
  );
});

test('a machine’s disk is in a tombstone only when a user deleted it', () => {
  fc.assert(
    fc.property(anyWorld, (any) => {
      const world = worldOf({ ...any, machine: true });
      settle(world);
      world.put('apps/crm', anApplication('crm', { roles: {}, machines: {} }));
      settle(world);
      expect(world.records.tombstones.size).toBe(0);
      expect(world.records.vms.has('crm/db')).toBe(true);
      world.put('apps/crm', anApplication('crm', { roles: {}, machines: {} }, { deleting: true }));
      world.write(plan(world.snapshot(), world.nowMs, DEFAULT_SETTINGS));
      expect([...world.records.tombstones.keys()]).toEqual(['crm/db']);
    }),
    { numRuns: 40 },
  );
});
