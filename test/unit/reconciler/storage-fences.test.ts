import { describe, expect, test } from 'vitest';
import type { FenceDevice, HostOffer, Report } from '../../../agent/protocol/index.ts';
import type { FencingRecord, HostRecord, StorageFence, VmRecord } from '../../../controller/model/index.ts';
import { machineDefinition } from '../../../controller/reconciler/definition.ts';
import { DEFAULT_SETTINGS, plan } from '../../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../../controller/reconciler/world.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const NOW = 10_000_000;
const DOWN_MS = NOW - 10_000;
const CLUSTER = '11111111-1111-4111-8111-111111111111';
const CEPH_ID = '22222222-2222-4222-8222-222222222222';
const NFS_ID = '33333333-3333-4333-8333-333333333333';
const CEPH: FenceDevice = {
  agent: 'fence_ceph_blocklist',
  options: { addresses: '10.0.0.11' },
  secret: 'ceph',
};
const POOLS: HostOffer['pools'] = [
  { name: 'ceph', kind: 'rbd', sizeMiB: 100_000, id: CEPH_ID, cluster: CLUSTER },
  { name: 'nfs', kind: 'shared', sizeMiB: 100_000, id: NFS_ID },
];
const SHAPE = { pools: POOLS, fence: [CEPH] };

const PROVEN: StorageFence = {
  device: CEPH,
  downSinceMs: DOWN_MS,
  pools: [CEPH_ID],
  proof: { kind: 'storage-fence', host: 'h1', atMs: NOW - 1, detail: 'shut out' },
};

const fencing = (
  storage: readonly StorageFence[],
  overrides: Partial<FencingRecord> = {},
): FencingRecord => ({
  host: 'h1',
  downSinceMs: DOWN_MS,
  attempts: [
    { atMs: NOW - 2, ms: 1, device: 'fence_ceph_blocklist (1 of 1)', off: true, message: 'shut out' },
  ],
  tried: 1,
  proof: null,
  storage,
  ...overrides,
});

const machine = (name: string, pool: 'ceph' | 'nfs', overrides: Partial<VmRecord> = {}): VmRecord =>
  aVm({
    ...{ id: `crm/${name}`, role: null, index: null, kind: 'machine', networkId: 'crm/machines' },
    ...{
      pool,
      poolId: pool === 'ceph' ? CEPH_ID : NFS_ID,
      definition: machineDefinition(aMachine({ pool })),
    },
    ...{ incarnation: 3, diskIncarnation: 3 },
    ...overrides,
  });

interface Given {
  readonly h1: HostRecord;
  readonly vms: readonly VmRecord[];
  readonly fencing: FencingRecord | null;
  /** h2 is there as well. */
  readonly hasOther?: boolean;
  /** What h1 says; absent: it is not in session. */
  readonly says?: Partial<Report>;
}

function planned({ h1, vms, fencing: record, hasOther = true, says }: Given) {
  const hosts = hasOther ? [h1, aHost('h2', SHAPE)] : [h1];
  const live = (name: string): LiveHost => ({
    ...{ connected: true, lastHeardMs: NOW, hello: aHello(name, SHAPE), endedBecause: null },
    ...{ acknowledged: new Set<string>() },
    report: {
      ...{ type: 'report', sequence: 1, atMs: NOW, bootId: 'boot-1', revisionSeen: 1 },
      ...{ vms: [], blobs: [], strangers: [], leaving: [] },
      ...(name === 'h1' ? says : {}),
    },
  });
  const none = new Map();
  const machines = Object.fromEntries(vms.map(({ id, pool }) => [id.slice(4), aMachine({ pool })]));
  const world: World = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    ...{ networks: none, tombstones: none, incarnations: none, backups: none, images: none },
    applications: new Map([['crm', anApplication('crm', { roles: {}, machines })]]),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
    claims: new Map(),
    fencing: new Map(record ? [['h1', record]] : []),
    hosts: new Map(hosts.map((host) => [host.name, host])),
    live: new Map(
      hosts.filter(({ name }) => name !== 'h1' || says !== undefined).map(({ name }) => [name, live(name)]),
    ),
    listeningSinceMs: 0,
  };
  const result = plan(world, NOW, DEFAULT_SETTINGS);
  const put = <T>(key: string) => result.puts.find((each) => each.key === key)?.value as T | undefined;
  return {
    ...result,
    kinds: result.events.map(({ kind, subject }) => `${kind} ${subject}`),
    vm: (id: string) => put<VmRecord>(`vms/${id}`),
    host: (name: string) => put<HostRecord>(`hosts/${name}`),
    fencing: () => put<FencingRecord>('fencing/h1'),
  };
}

const down = (overrides: Partial<HostRecord> = {}) =>
  aHost('h1', SHAPE, { state: 'down', stateSinceMs: DOWN_MS, ...overrides });
const up = (overrides: Partial<HostRecord> = {}) =>
  aHost('h1', SHAPE, { stateSinceMs: NOW - 5, ...overrides });

describe('a host that is down and shut out of Ceph', () => {
  test('is not dead: its machines in Ceph go on elsewhere, with that proof, and those on other shared pools do not', () => {
    const { vm, host, kinds, fence } = planned({
      h1: down(),
      vms: [machine('db', 'ceph'), machine('files', 'nfs')],
      fencing: fencing([PROVEN]),
    });
    expect(vm('crm/db')).toMatchObject({ host: 'h2', incarnation: 4, proof: PROVEN.proof, poolId: CEPH_ID });
    expect(vm('crm/files')).toMatchObject({ host: 'h1', state: 'unknown', incarnation: 3 });
    expect(host('h1')).toMatchObject({ state: 'down', proof: null, superseded: { 'crm/db': 3 } });
    expect(kinds).toContain('storage-fenced h1');
    expect(kinds).toContain('machine-restarted crm/db');
    // Something of it is not proven yet.
    expect(fence).toMatchObject([{ host: 'h1' }]);
  });

  test('is fenced no further when nothing else needs it', () => {
    const { fence } = planned({ h1: down(), vms: [machine('db', 'ceph')], fencing: fencing([PROVEN]) });
    expect(fence).toEqual([]);
  });

  test('what was found out in an earlier death, was lifted, or was never found out, proves nothing', () => {
    for (const fence of [
      { ...PROVEN, downSinceMs: DOWN_MS - 1 },
      { ...PROVEN, lifted: true },
      { ...PROVEN, proof: null },
      { ...PROVEN, pools: [NFS_ID] },
    ]) {
      const { vm } = planned({ h1: down(), vms: [machine('db', 'ceph')], fencing: fencing([fence]) });
      expect(vm('crm/db')).toMatchObject({ host: 'h1', state: 'unknown', incarnation: 3 });
    }
  });

  test('a storage fence is no device for a host that has no pool in Ceph', () => {
    const shape = { pools: POOLS.filter(({ kind }) => kind === 'shared'), fence: [CEPH] };
    const h1 = aHost('h1', shape, { state: 'down', stateSinceMs: DOWN_MS });
    expect(planned({ h1, vms: [machine('files', 'nfs')], fencing: null }).fence).toEqual([]);
    expect(planned({ h1: down(), vms: [machine('db', 'ceph')], fencing: null }).fence).toMatchObject([
      { devices: [CEPH] },
    ]);
  });
});

describe('a host that is back, and still shut out', () => {
  const LIVES_ELSEWHERE = machine('db', 'ceph', { host: 'h2', incarnation: 4 });

  test('keeps its fence on the record, and is let in when nothing of what lives elsewhere is left on it', () => {
    const given = { vms: [LIVES_ELSEWHERE], fencing: fencing([PROVEN]) };
    const waiting = planned({
      ...given,
      h1: up({ superseded: { 'crm/db': 3 } }),
      says: { leaving: ['crm/db'] },
    });
    expect(waiting.deletes).not.toContain('fencing/h1');
    expect(waiting.fencing()).toMatchObject({ tried: 0, storage: [PROVEN] });
    expect(waiting.lift).toEqual([]);
    expect(planned({ ...given, h1: up({ superseded: { 'crm/db': 3 } }), says: {} }).lift).toEqual([
      { host: 'h1', fence: PROVEN },
    ]);
  });

  test('stays out while it runs a machine that no goal names, is not in session, or is down', () => {
    const given = { vms: [LIVES_ELSEWHERE], fencing: fencing([PROVEN]) };
    const stranger = { id: 'old/db', incarnation: 1, running: true, disk: 'rbd:vms/machine.old.db' };
    expect(planned({ ...given, h1: up(), says: { strangers: [stranger] } }).lift).toEqual([]);
    expect(planned({ ...given, h1: down() }).lift).toEqual([]);
  });

  test('gives up what it still has of machines: they are dead, and go elsewhere', () => {
    const { vm, host, lift } = planned({
      h1: up(),
      vms: [machine('db', 'ceph', { state: 'unknown' })],
      fencing: fencing([PROVEN]),
      says: {},
    });
    expect(vm('crm/db')).toMatchObject({ host: 'h2', incarnation: 4, proof: PROVEN.proof });
    expect(host('h1')?.superseded).toEqual({ 'crm/db': 3 });
    expect(lift).toEqual([]);
  });

  test('or nowhere for a while, when no other host takes them', () => {
    const { vm, host } = planned({
      h1: up(),
      vms: [machine('db', 'ceph', { state: 'unknown' })],
      fencing: fencing([PROVEN]),
      hasOther: false,
      says: {},
    });
    expect(vm('crm/db')).toMatchObject({ host: null, state: 'pending', incarnation: 3, diskIncarnation: 3 });
    expect(host('h1')?.superseded).toEqual({ 'crm/db': 3 });
  });

  test('when it has been let in, that is told and forgotten; and what may have been hurt unproven is made anew there', () => {
    const lifted = planned({
      h1: up(),
      vms: [LIVES_ELSEWHERE],
      fencing: fencing([{ ...PROVEN, lifted: true }]),
      says: {},
    });
    expect(lifted.deletes).toContain('fencing/h1');
    expect(lifted.kinds).toEqual(['storage-fence-lifted h1']);
    const hurt = planned({
      h1: up(),
      vms: [machine('db', 'ceph')],
      fencing: fencing([{ ...PROVEN, proof: null, lifted: true }]),
      says: {},
    });
    expect(hurt.vm('crm/db')).toMatchObject({ host: 'h1', incarnation: 4 });
    expect(hurt.deletes).toContain('fencing/h1');
    const unhurt = planned({
      h1: up(),
      vms: [machine('db', 'ceph')],
      fencing: fencing([{ ...PROVEN, proof: null, lifted: true, wasNever: true }]),
      says: {},
    });
    expect(unhurt.vm('crm/db')?.incarnation ?? 3).toBe(3);
    expect(unhurt.deletes).toContain('fencing/h1');
  });

  test('takes nothing new in Ceph before it is let in', () => {
    const pending = machine('db', 'ceph', { host: null, state: 'pending' });
    const given = { h1: up(), vms: [pending], hasOther: false, says: {} };
    const shut = planned({ ...given, fencing: fencing([PROVEN]) });
    expect(shut.vm('crm/db')?.host ?? null).toBeNull();
    expect(planned({ ...given, fencing: null }).vm('crm/db')).toMatchObject({ host: 'h1', incarnation: 4 });
  });
});
