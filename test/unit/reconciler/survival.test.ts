import { describe, expect, test } from 'vitest';
import type { FencingRecord, HostRecord, Proof, VmRecord } from '../../../controller/model/index.ts';
import { machineDefinition } from '../../../controller/reconciler/definition.ts';
import { goalOf } from '../../../controller/reconciler/goals.ts';
import { DEFAULT_SETTINGS, type Plan, plan } from '../../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../../controller/reconciler/world.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost, type HostShape } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const NOW = 10_000_000;
const SAN = {
  name: 'san',
  kind: 'shared',
  sizeMiB: 100_000,
  id: 'b00c0000-0000-4000-8000-000000000001',
} as const;
const DEVICE = { agent: 'fence_ipmilan', options: { ip: '127.0.0.1' } };
const SHARED: HostShape = { pools: [SAN] };
const FENCED: HostShape = { pools: [SAN], fence: [DEVICE] };
const machine = { ...aMachine(), pool: 'san' };

const db = (overrides: Partial<VmRecord> = {}) =>
  aVm({
    ...{ id: 'crm/db', role: null, index: null, kind: 'machine', networkId: 'crm/machines' },
    ...{ pool: 'san', poolId: SAN.id, incarnation: 4, diskIncarnation: 4 },
    definition: machineDefinition(machine),
    ...overrides,
  });

interface Fabric {
  readonly hosts?: readonly HostRecord[];
  readonly vms?: readonly VmRecord[];
  readonly fencing?: readonly FencingRecord[];
  /** Host → what is heard of it; not named: in session, and heard just now. */
  readonly live?: Readonly<Record<string, Partial<LiveHost>>>;
}

const SILENT = { connected: false, lastHeardMs: NOW - 60_000, hello: null, report: null } as const;
const down = (name: string, shape: HostShape, overrides: Partial<HostRecord> = {}) =>
  aHost(name, shape, { state: 'down', stateSinceMs: NOW - 50_000, ...overrides });

function worldOf({ hosts = [], vms = [], fencing = [], live = {} }: Fabric): World {
  const hasMachine = vms.some(({ id }) => id === 'crm/db');
  const claims = new Map<string, { vms: Record<string, VmRecord['size'] & { pool: string }> }>();
  for (const { host, id, incarnation, size, pool } of vms) {
    if (host === null) continue;
    const record = claims.get(host) ?? { vms: {} };
    record.vms[`${id}@${incarnation}`] = { ...size, pool };
    claims.set(host, record);
  }
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([
      ['crm', anApplication('crm', { roles: {}, machines: hasMachine ? { db: machine } : {} })],
    ]),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
    hosts: new Map(hosts.map((host) => [host.name, host])),
    claims,
    networks: new Map(),
    tombstones: new Map(),
    incarnations: new Map(),
    fencing: new Map(fencing.map((record) => [record.host, record])),
    backups: new Map(),
    live: new Map(
      hosts.map(({ name, offer, facts, bootId }): [string, LiveHost] => {
        const hello = aHello(name);
        return [
          name,
          {
            connected: true,
            lastHeardMs: NOW,
            hello: {
              ...hello,
              bootId: bootId ?? 'boot-1',
              offer: offer ?? hello.offer,
              facts: facts ?? hello.facts,
            },
            report: null,
            acknowledged: null,
            endedBecause: null,
            ...live[name],
          },
        ];
      }),
    ),
    images: new Map(),
    listeningSinceMs: 0,
  };
}

const plannedFor = (fabric: Fabric): Plan => plan(worldOf(fabric), NOW, DEFAULT_SETTINGS);
const putOf = <T>({ puts }: Plan, key: string) =>
  puts.find((each) => each.key === key)?.value as T | undefined;
const hostIn = (planned: Plan, name: string) => putOf<HostRecord>(planned, `hosts/${name}`);
const vmIn = (planned: Plan, id: string) => putOf<VmRecord>(planned, `vms/${id}`);
const told = ({ events }: Plan) =>
  events.map(({ kind, subject, message }) => `${kind} ${subject}: ${message}`);

const proof: Proof = {
  kind: 'fence-device',
  host: 'h1',
  atMs: NOW - 10,
  detail: 'fence_ipmilan (1 of 1) says that it is off',
};
const answer = (overrides: Partial<FencingRecord> = {}): FencingRecord => ({
  host: 'h1',
  downSinceMs: NOW - 50_000,
  attempts: [{ atMs: NOW - 10, ms: 120, device: 'fence_ipmilan (1 of 1)', off: true, message: 'off' }],
  tried: 1,
  proof,
  ...overrides,
});

describe('a host that grows silent', () => {
  const heard = (ms: number, overrides: Partial<LiveHost> = {}) =>
    plannedFor({ hosts: [aHost('h1')], live: { h1: { lastHeardMs: NOW - ms, ...overrides } } });

  test('is suspect after two seconds, down after four, and each is told with its evidence', () => {
    expect(hostIn(heard(1_999), 'h1')).toBeUndefined();
    expect(hostIn(heard(2_000), 'h1')).toMatchObject({
      state: 'suspect',
      evidence: 'not heard from for 2.0 s',
    });
    expect(told(heard(2_000))).toEqual(['host-suspect h1: up ⇒ suspect: not heard from for 2.0 s']);
    expect(hostIn(heard(4_000), 'h1')).toMatchObject({ state: 'down', downsAtMs: [NOW] });
    expect(told(heard(4_000))).toEqual(['host-down h1: up ⇒ down: not heard from for 4.0 s']);
  });

  test('is suspect at once when its session ends, and says why it ended', () => {
    const planned = heard(10, { connected: false, endedBecause: 'the connection ended' });
    expect(hostIn(planned, 'h1')).toMatchObject({
      state: 'suspect',
      evidence: 'its session ended: the connection ended',
    });
    expect(planned.nextMs).toBe(NOW - 10 + DEFAULT_SETTINGS.downAfterMs);
  });

  test('has its time after a start of the controller, although it has no session yet', () => {
    const world = worldOf({ hosts: [aHost('h1')], live: { h1: { ...SILENT, lastHeardMs: 0 } } });
    const at = (ms: number) => plan({ ...world, listeningSinceMs: NOW - ms }, NOW, DEFAULT_SETTINGS);
    expect(hostIn(at(1_000), 'h1')).toBeUndefined();
    expect(hostIn(at(4_000), 'h1')?.state).toBe('down');
  });

  test('has its time after a pause of the controller; one that was lost before is not back for that, its session still open', () => {
    const resumed = (state: HostRecord['state'], heardMsAgo: number) => {
      const hosts = [aHost('h1', FENCED, { state, stateSinceMs: NOW - 50_000, proof })];
      const world = worldOf({ hosts, live: { h1: { lastHeardMs: NOW - heardMsAgo } } });
      return hostIn(plan({ ...world, listeningSinceMs: NOW }, NOW, DEFAULT_SETTINGS), 'h1');
    };
    expect(resumed('up', 3_000)).toBeUndefined();
    for (const state of ['suspect', 'down', 'fenced'] as const) {
      expect(resumed(state, 60_000)).toBeUndefined();
      expect(resumed(state, 500)?.state).toBe('up');
    }
  });

  test('takes nothing new while it is suspect, and keeps what it has', () => {
    const suspect = aHost('h1', SHARED, { state: 'suspect', stateSinceMs: NOW - 100 });
    const live = { h1: { ...SILENT, lastHeardMs: NOW - 2_500 } };
    const planned = plannedFor({ hosts: [suspect], vms: [db(), aVm({ id: 'crm/web-0' })], live });
    expect(vmIn(planned, 'crm/db')).toBeUndefined();
    expect(planned.fence).toEqual([]);
  });

  test('that returns is up; the first time at once, then held off for longer each time', () => {
    const backAfter = (...downsAgoMs: number[]) =>
      hostIn(plannedFor({ hosts: [down('h1', {}, { downsAtMs: downsAgoMs.map((ago) => NOW - ago) })] }), 'h1')
        ?.heldOffUntilMs;
    expect(backAfter(50_000)).toBeNull();
    expect(backAfter(90_000, 50_000)).toBe(NOW + 60_000);
    expect(backAfter(200_000, 90_000, 50_000)).toBe(NOW + 120_000);
    expect(backAfter(3_600_001, 3_600_000, 50_000)).toBeNull();
    const twenty = Array.from({ length: 16 }, (_, index) => (16 - index) * 1_000);
    expect(backAfter(...twenty)).toBe(NOW + 1_800_000);
  });

  test('is trusted again when its time is over', () => {
    const held = (untilMs: number) =>
      plannedFor({
        hosts: [aHost('h1', SHARED, { heldOffUntilMs: untilMs })],
        vms: [db({ host: null, state: 'pending', incarnation: 0, diskIncarnation: 0, poolId: null })],
      });
    expect(held(NOW + 1).nextMs).toBe(NOW + 1);
    expect(told(held(NOW))).toContain('host-trusted h1: it has stayed long enough: it takes VMs again');
    expect(hostIn(held(NOW), 'h1')?.heldOffUntilMs).toBeNull();
  });
});

describe('a machine on a pool that hosts share', () => {
  const live = { h1: SILENT };

  test('is unknown while nothing proves its host dead: fenced where there is a device, told what to do where there is none', () => {
    const withDevice = plannedFor({ hosts: [down('h1', FENCED), aHost('h2', SHARED)], vms: [db()], live });
    expect(vmIn(withDevice, 'crm/db')).toMatchObject({ state: 'unknown', host: 'h1', incarnation: 4 });
    expect(withDevice.fence).toEqual([{ host: 'h1', downSinceMs: NOW - 50_000, devices: [DEVICE] }]);
    const without = plannedFor({ hosts: [down('h1', SHARED), aHost('h2', SHARED)], vms: [db()], live });
    expect(without.fence).toEqual([]);
    expect(vmIn(without, 'crm/db')?.failure).toMatchObject({
      message: 'host h1 is not heard from, has no fence device, and nothing else proves that it is dead',
      remedy: 'Bring host h1 back. Or make sure that it is off, then sign for it: weft host confirm-dead h1',
    });
  });

  test('says how fencing fails, and each failure once', () => {
    const failed = answer({
      attempts: [1, 2].map((nth) => ({
        atMs: nth,
        ms: 9,
        device: `fence_x (${nth} of 2)`,
        off: false,
        message: 'no route',
      })),
      tried: 2,
      proof: null,
    });
    const hosts = [
      down('h1', FENCED, { fencing: { attempts: 1, message: 'fence_x (1 of 2): no route' } }),
      aHost('h2', SHARED),
    ];
    const planned = plannedFor({ hosts, vms: [db()], fencing: [failed], live });
    expect(told(planned)).toContain('fence-failed h1: fence_x (2 of 2): no route');
    expect(told(planned).join()).not.toContain('fence_x (1 of 2)');
    expect(hostIn(planned, 'h1')).toMatchObject({ state: 'down', fencing: { attempts: 2 } });
    expect(vmIn(planned, 'crm/db')?.failure?.message).toBe(
      'host h1 is not heard from, and could not be fenced yet (tried 2 times; fence_x (2 of 2): no route)',
    );
    expect(planned.fence).toHaveLength(1);
  });

  test('goes on elsewhere at a higher incarnation once its host is proven dead, and the proof is kept', () => {
    const hosts = [down('h1', FENCED), aHost('h2', SHARED)];
    const planned = plannedFor({ hosts, vms: [db({ state: 'unknown' })], fencing: [answer()], live });
    expect(vmIn(planned, 'crm/db')).toMatchObject({
      ...{ state: 'placing', host: 'h2', incarnation: 5, diskIncarnation: 4, failure: null },
      proof,
    });
    expect(hostIn(planned, 'h1')).toMatchObject({ state: 'fenced', proof, superseded: { 'crm/db': 4 } });
    expect(putOf(planned, 'claims/h1')).toEqual({ vms: {} });
    expect(Object.keys(putOf<{ vms: object }>(planned, 'claims/h2')?.vms ?? {})).toEqual(['crm/db@5']);
    expect(told(planned)).toContain(
      'machine-restarted crm/db: incarnation 5 on h2: fence_ipmilan (1 of 1) says that it is off',
    );
    expect(planned.fence).toEqual([]);
  });

  test('does not take an answer about an earlier death for one about this', () => {
    const hosts = [down('h1', FENCED), aHost('h2', SHARED)];
    const old = answer({ downSinceMs: NOW - 90_000 });
    const planned = plannedFor({ hosts, vms: [db()], fencing: [old], live });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'unknown', host: 'h1' });
    expect(planned.deletes).toContain('fencing/h1');
    expect(planned.fence).toHaveLength(1);
  });

  test('goes to no host whose pool has the name only', () => {
    const other = { ...SAN, id: 'b00c0000-0000-4000-8000-000000000002' };
    const hosts = [down('h1', FENCED), aHost('h2', { pools: [other] }), aHost('h3')];
    const planned = plannedFor({ hosts, vms: [db({ state: 'unknown' })], fencing: [answer()], live });
    const record = vmIn(planned, 'crm/db');
    expect(record).toMatchObject({ state: 'unknown', host: 'h1', incarnation: 4 });
    expect(record?.failure?.message).toContain('no other host can take this machine');
    const reasons = record?.placement?.hosts.map(({ host, reasons: each }) => `${host}: ${each.join()}`);
    expect(reasons).toContain("h2: the host's pool san is another one than the one that has its disk");
  });

  test('is not fenced for, nor restarted, when its host is back', () => {
    const planned = plannedFor({
      hosts: [down('h1', FENCED), aHost('h2', SHARED)],
      vms: [db()],
      fencing: [answer()],
    });
    expect(hostIn(planned, 'h1')).toMatchObject({ state: 'up', proof: null });
    expect(vmIn(planned, 'crm/db')).toBeUndefined();
    expect(planned.deletes).toContain('fencing/h1');
    expect(planned.fence).toEqual([]);
  });

  test('on a pool of its host alone waits for it, proof or not', () => {
    const hosts = [down('h1', FENCED), aHost('h2', SHARED)];
    const local = db({ pool: 'local', poolId: null });
    const planned = plannedFor({ hosts, vms: [local], fencing: [answer()], live });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'unknown', host: 'h1', incarnation: 4 });
    expect(plannedFor({ hosts, vms: [local], live }).fence).toEqual([]);
  });
});

test('hosts that share its pool, and only they, have ready what a machine is made of', () => {
  const hosts = [aHost('h1', SHARED), aHost('h2', SHARED), aHost('h3')];
  const world = worldOf({ hosts, vms: [db(), aVm({ id: 'crm/web-0' })] });
  const prefetched = (host: string) => goalOf(host, [], () => ({}), world).prefetch.map(({ kind }) => kind);
  expect(prefetched('h1')).toEqual([]);
  expect(prefetched('h2')).toEqual(['file']);
  expect(prefetched('h3')).toEqual([]);
});

describe('too many silent hosts', () => {
  const hosts = [down('h1', FENCED), down('h2', SHARED), aHost('h3', SHARED)];
  const live = { h1: SILENT, h2: SILENT };

  test('are fenced for nothing', () => {
    const planned = plannedFor({ hosts, vms: [db()], live });
    expect(planned.fence).toEqual([]);
    expect(
      plan(worldOf({ hosts, vms: [db()], live }), NOW, { ...DEFAULT_SETTINGS, holds: false }).fence,
    ).toHaveLength(1);
  });

  test('are told once, when healing begins to hold still and when it goes on', () => {
    const growing = [aHost('h1', {}, { state: 'suspect' }), down('h2', SHARED), aHost('h3')];
    const held = plannedFor({ hosts: growing, live });
    expect(told(held).filter((line) => line.startsWith('healing-held'))).toHaveLength(1);
    expect(told(plannedFor({ hosts, live })).join()).not.toContain('healing');
    const enough = 'healing-resumed fabric: enough hosts are heard from again, or known to be dead';
    expect(told(plannedFor({ hosts, live: {} }))).toContain(enough);
    const resumed = plannedFor({ hosts, live: { h2: SILENT } });
    expect(told(resumed)).toContain(`${enough}; h2: 4 s are left to be heard as well`);
  });

  test('the last of them has its time to be heard as well, and heals then', () => {
    const web = aVm({ id: 'crm/web-0', host: 'h1', state: 'unknown' });
    const vms = [db({ state: 'unknown' }), web];
    const given = (planned: Plan) => told(planned).filter((line) => line.startsWith('vm-heal'));
    const resumed = plannedFor({ hosts, vms, live: { h1: SILENT } });
    expect(hostIn(resumed, 'h1')).toMatchObject({ state: 'down', awaitedUntilMs: NOW + 4_000 });
    expect(resumed.fence).toEqual([]);
    expect(given(resumed)).toEqual([]);
    const awaited = (ms: number) => [
      down('h1', FENCED, { awaitedUntilMs: NOW + ms }),
      aHost('h2', SHARED),
      aHost('h3', SHARED),
    ];
    const still = plannedFor({ hosts: awaited(1), vms, live: { h1: SILENT } });
    expect(still.fence).toEqual([]);
    expect(still.nextWaitMs).toBe(NOW + 1);
    expect(given(still)).toEqual([]);
    const over = plannedFor({ hosts: awaited(0), vms, live: { h1: SILENT } });
    expect(over.fence).toHaveLength(1);
    expect(given(over)).toHaveLength(1);
    const back = plannedFor({ hosts: awaited(1), vms, live: {} });
    expect(hostIn(back, 'h1')).toMatchObject({ state: 'up', awaitedUntilMs: null });
    expect(given(back)).toEqual([]);
  });

  test('do not count as hosts that come and go', () => {
    const wentDown = (name: string) => down(name, {}, { downsAtMs: [NOW - 9_000_000, NOW - 50_000] });
    const both = [wentDown('h1'), wentDown('h2')];
    expect(both[0]?.stateSinceMs).toBe(NOW - 50_000);
    const planned = plannedFor({ hosts: [...both, aHost('h3')], live });
    for (const name of ['h1', 'h2']) expect(hostIn(planned, name)?.downsAtMs).toEqual([NOW - 9_000_000]);
  });

  test('are silent no more when they are known to be dead: the rest heals', () => {
    const signed = answer({
      attempts: [],
      tried: 0,
      proof: { ...proof, kind: 'operator', detail: 'admin signed' },
    });
    const planned = plannedFor({ hosts, vms: [db({ state: 'unknown' })], fencing: [signed], live });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ host: 'h3', state: 'placing' });
  });
});

describe('what a host that was away still has', () => {
  const instance = (overrides: Partial<VmRecord> = {}) =>
    aVm({ id: 'crm/web-0', deleting: true, state: 'stopping', ...overrides });

  test('is superseded when it is given up, and until its host has removed it', () => {
    const gone = plannedFor({
      hosts: [down('h1', {}), aHost('h2')],
      vms: [instance({ incarnation: 3 })],
      live: { h1: SILENT },
    });
    expect(gone.deletes).toContain('vms/crm/web-0');
    expect(hostIn(gone, 'h1')?.superseded).toEqual({ 'crm/web-0': 3 });

    const back = aHost('h1', {}, { superseded: { 'crm/web-0': 3 } });
    const report = { ...EMPTY_REPORT, leaving: ['crm/web-0'] };
    const at = (live: Partial<LiveHost>) =>
      hostIn(plannedFor({ hosts: [back], live: { h1: live } }), 'h1')?.superseded;
    expect(at({ report, acknowledged: new Set() })).toBeUndefined();
    expect(at({ report: EMPTY_REPORT, acknowledged: null })).toBeUndefined();
    expect(at({ report: EMPTY_REPORT, acknowledged: new Set() })).toEqual({});
  });

  test('is forgotten when the VM lives there again: the goal names it', () => {
    const back = aHost('h1', {}, { superseded: { 'crm/db': 3 } });
    const planned = plannedFor({ hosts: [back], vms: [db({ host: 'h1' })] });
    expect(hostIn(planned, 'h1')?.superseded).toEqual({});
  });

  test('a host that was declared dead and returns as the same boot is told loudly', () => {
    const wrong = aHost('h1', FENCED, { state: 'fenced', proof });
    expect(told(plannedFor({ hosts: [wrong] })).some((line) => line.startsWith('host-undead h1'))).toBe(true);
    const rebooted = aHost('h1', FENCED, { state: 'fenced', proof, bootId: 'boot-0' });
    const planned = plannedFor({
      hosts: [rebooted],
      live: { h1: { hello: aHello('h1', FENCED, 'boot-1') } },
    });
    expect(told(planned)).toEqual(['host-up h1: fenced ⇒ up: it has been restarted and is in session']);
  });
});

const EMPTY_REPORT: NonNullable<LiveHost['report']> = {
  ...{ type: 'report', sequence: 1, atMs: NOW, bootId: 'boot-1', revisionSeen: 1 },
  ...{ vms: [], blobs: [], strangers: [], leaving: [] },
};
