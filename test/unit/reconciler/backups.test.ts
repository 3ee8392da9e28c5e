import { describe, expect, test } from 'vitest';
import type { BackupReport, HostOffer } from '../../../agent/protocol/index.ts';
import { backupRef } from '../../../controller/model/backup-ids.ts';
import type { ApplicationRecord, BackupRecord, VmRecord } from '../../../controller/model/index.ts';
import type { Machine } from '../../../controller/model/service.ts';
import { backupTasksFor, canRead } from '../../../controller/reconciler/backup-tasks.ts';
import { machineDefinition } from '../../../controller/reconciler/definition.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { DEFAULT_SETTINGS, type Plan, plan } from '../../../controller/reconciler/plan.ts';
import { nextBackupMs } from '../../../controller/reconciler/rules/backup-schedule.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { aMachine, anApplication } from '../../support/builders/application.ts';
import { aBackup, VAULT } from '../../support/builders/backup.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const NOW = Date.UTC(2026, 0, 10);
const HOUR = 3_600_000;
const REF = 'crm/db/20260102t030405';

const db = (overrides: Partial<VmRecord> = {}): VmRecord =>
  aVm({
    id: 'crm/db',
    role: null,
    index: null,
    kind: 'machine',
    networkId: 'crm/machines',
    definition: machineDefinition(aMachine()),
    diskIncarnation: 1,
    ...overrides,
  });

interface Setting {
  readonly vms?: readonly VmRecord[];
  readonly backups?: readonly BackupRecord[];
  readonly machines?: Readonly<Record<string, Machine>>;
  /** Of h1. */
  readonly reports?: readonly BackupReport[];
  /** Targets of each host; h1 alone has the vault unless told otherwise. */
  readonly targets?: Readonly<Record<string, NonNullable<HostOffer['backups']>>>;
  readonly down?: readonly string[];
}

function aWorld(setting: Setting = {}): World {
  const { vms = [db()], backups = [], machines = { db: aMachine() }, reports = [], down = [] } = setting;
  const targets = { h1: [VAULT], h2: [], ...setting.targets };
  const goal = aVmGoal().image;
  const image = {
    ...{ name: 'tiny', version: '1', goal, virtualSizeBytes: 1, sizeBytes: 1 },
    createdAtMs: 0,
  };
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', anApplication('crm', { roles: {}, machines })]]),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
    hosts: new Map(
      Object.entries(targets).map(([name, offered]) => {
        const { offer, ...host } = aHost(name);
        const state = down.includes(name) ? 'down' : 'up';
        return [name, { ...host, state, offer: offer && { ...offer, backups: offered } }];
      }),
    ),
    claims: new Map(),
    networks: new Map(),
    tombstones: new Map(),
    incarnations: new Map(),
    fencing: new Map(),
    backups: new Map(backups.map((record) => [backupRef(record), record])),
    live: new Map(
      Object.keys(targets)
        .filter((name) => !down.includes(name))
        .map((name) => [
          name,
          {
            connected: true,
            lastHeardMs: NOW,
            hello: null,
            endedBecause: null,
            acknowledged: null,
            report: {
              ...{ type: 'report', sequence: 1, atMs: NOW, bootId: 'boot-1', revisionSeen: 1 },
              ...{ vms: [], blobs: [], strangers: [], leaving: [] },
              ...(name === 'h1' ? { backups: [...reports] } : {}),
            },
          },
        ]),
    ),
    images: new Map(
      ['tiny:stable', 'tiny:1'].map((name) => [
        name,
        { image: { ...image, sourceFormat: 'qcow2', sshKeySecret: null }, failure: null, ms: 0 },
      ]),
    ),
    listeningSinceMs: 0,
  } as World;
}

const planned = (setting: Setting) => plan(aWorld(setting), NOW, DEFAULT_SETTINGS);
const written = <T>({ puts }: Plan, key: string): T | undefined =>
  puts.find((put) => put.key === key)?.value as T | undefined;
const backupIn = (result: Plan, ref = REF) => written<BackupRecord>(result, `backups/${ref}`);
const tasks = (host: string, setting: Setting) => backupTasksFor(host, aWorld(setting));
const told = (result: Plan) => result.events.map(({ kind }) => kind);

const REPORT = { vmId: 'crm/db', id: '20260102t030405' } as const;
const MADE = aBackup().made ?? undefined;
const VERIFYING: BackupRecord['restore'] = {
  ...{ request: 'r1', as: 'crm/copy', host: 'h1', state: 'verifying', failure: null, askedAtMs: NOW },
};

describe('a backup that is wanted', () => {
  const wanted = aBackup({ state: 'wanted', made: null, endedAtMs: null });

  test('is a task of its machine’s host, and of no other', () => {
    expect(tasks('h1', { backups: [wanted] })).toEqual([{ task: 'make', ...REPORT, target: 'vault' }]);
    expect(tasks('h2', { backups: [wanted] })).toEqual([]);
  });

  test('is done when its host says so', () => {
    const result = planned({
      backups: [wanted],
      reports: [{ task: 'make', ...REPORT, state: 'done', made: MADE }],
    });
    expect(backupIn(result)).toMatchObject({ state: 'done', made: MADE, endedAtMs: NOW });
    expect(told(result)).toContain('backup-made');
  });

  test('has failed for the reason that its host gives', () => {
    const failure = { code: 'hypervisor-failed', message: 'No space left on device' };
    const result = planned({
      backups: [wanted],
      reports: [{ task: 'make', ...REPORT, state: 'failed', failure }],
    });
    expect(backupIn(result)).toMatchObject({ state: 'failed', failure });
  });

  test('is given up with its machine: the task goes at once', () => {
    const setting = { backups: [wanted], vms: [db({ deleting: true })] };
    expect(tasks('h1', setting)).toEqual([]);
    expect(backupIn(planned(setting))).toMatchObject({ state: 'failed', failure: { code: 'not-found' } });
  });

  test('follows its machine to a host with the same target, and fails on one without', () => {
    const moved = { backups: [wanted], vms: [db({ host: 'h2' })] };
    expect(backupIn(planned({ ...moved, targets: { h2: [VAULT] } }))).toMatchObject({
      host: 'h2',
      state: 'wanted',
    });
    expect(backupIn(planned(moved))?.failure?.message).toContain('h2, which has no backup target vault');
  });

  test('waits while its host is away', () => {
    expect(backupIn(planned({ backups: [wanted], down: ['h1'] }))).toBeUndefined();
  });
});

describe('a restore', () => {
  const record = aBackup({ restore: VERIFYING });
  const good: BackupReport = { task: 'verify', ...REPORT, request: 'r1', state: 'done' };

  test('begins with the whole backup being read', () => {
    expect(tasks('h1', { backups: [record] })).toMatchObject([
      { task: 'verify', request: 'r1', target: 'vault' },
    ]);
  });

  test('makes nothing before its host has found it good', () => {
    for (const reports of [[], [{ ...good, state: 'running' as const }], [{ ...good, request: 'r0' }]])
      expect(planned({ backups: [record], reports }).puts.map(({ key }) => key)).toEqual([]);
  });

  test('of one that is damaged is refused, and nothing is made of it', () => {
    const failure = { code: 'invalid-image', message: 'its disk is truncated' };
    const result = planned({ backups: [record], reports: [{ ...good, state: 'failed', failure }] });
    expect(backupIn(result)?.restore).toMatchObject({ state: 'refused', failure });
    expect(result.puts.map(({ key }) => key)).toEqual([`backups/${REF}`]);
  });

  test('of a good one declares the machine, and places it where the backup is', () => {
    const result = planned({ backups: [record], reports: [good] });
    expect(written<ApplicationRecord>(result, 'apps/crm')?.service.machines.copy).toMatchObject({
      image: 'tiny:1',
      from: REF,
    });
    expect(written<VmRecord>(result, 'vms/crm/copy')).toMatchObject({
      state: 'placing',
      host: 'h1',
      restore: { ...REPORT, target: 'vault', digest: MADE?.digest },
    });
  });

  test('in place gives the machine a new incarnation that begins with it', () => {
    const inPlace = aBackup({ restore: { ...VERIFYING, as: 'crm/db' } });
    const result = planned({ backups: [inPlace], reports: [good] });
    expect(written<VmRecord>(result, 'vms/crm/db')).toMatchObject({
      state: 'placing',
      incarnation: 2,
      host: 'h1',
      diskIncarnation: 1,
      restore: { request: 'r1', since: 2, ...REPORT },
      restoreRequested: null,
    });
    // That its disk is lost may be why it is restored.
    const waiting = db({ state: 'backing-off', retryAtMs: NOW + HOUR, phase: null });
    const anew = planned({ backups: [inPlace], reports: [good], vms: [waiting] });
    expect(written<VmRecord>(anew, 'vms/crm/db')).toMatchObject({ state: 'placing', restore: { since: 2 } });
  });

  test('goes to no host whose agent knows nothing of backups', () => {
    const world = aWorld({ backups: [record] });
    const { offer, ...h1 } = aHost('h1');
    expect(canRead({ ...h1, offer }, record)).toBe(false);
    expect(canRead(world.hosts.get('h1') ?? { ...h1, offer }, record)).toBe(true);
  });

  test('to a name that was taken meanwhile is refused', () => {
    const taken = { db: aMachine(), copy: aMachine() };
    const copy = db({ id: 'crm/copy' });
    const result = planned({ backups: [record], reports: [good], machines: taken, vms: [db(), copy] });
    expect(backupIn(result)?.restore).toMatchObject({ state: 'refused', failure: { code: 'conflict' } });
  });

  test('whose reader went down is refused rather than waited for', () => {
    expect(backupIn(planned({ backups: [record], down: ['h1'] }))?.restore?.state).toBe('refused');
  });
});

describe('a machine that a model begins with a backup', () => {
  const machines = { db: aMachine({ from: REF }) };

  test('waits with the reason when that is not there', () => {
    const vm = written<VmRecord>(planned({ vms: [], machines }), 'vms/crm/db');
    expect(vm).toMatchObject({ state: 'backing-off', host: null });
    expect(vm?.failure?.message).toContain(`begins as backup ${REF}, which is not there`);
  });

  test('is placed on another host that has the same target when the first is down', () => {
    const shared = { vms: [], machines, backups: [aBackup()], down: ['h1'], targets: { h2: [VAULT] } };
    expect(written<VmRecord>(planned(shared), 'vms/crm/db')).toMatchObject({ host: 'h2', state: 'placing' });
  });

  test('keeps the disk that it has, whatever its model says', () => {
    expect(planned({ machines, backups: [aBackup()] }).puts).toEqual([]);
  });
});

describe('a schedule', () => {
  const machines = { db: aMachine({ backup: { everyMs: 24 * HOUR, keep: 2, to: 'vault' } }) };
  const daysAgo = (days: number, overrides: Partial<BackupRecord> = {}) =>
    aBackup({
      ...{ id: `202601${String(10 - days).padStart(2, '0')}t000000`, reason: 'scheduled' },
      createdAtMs: NOW - days * 24 * HOUR,
      ...overrides,
    });

  test('makes the first one at once', () => {
    expect(backupIn(planned({ machines }), 'crm/db/20260110t000000')).toMatchObject({
      state: 'wanted',
      reason: 'scheduled',
      host: 'h1',
      targetId: VAULT.id,
    });
  });

  test('makes the next one when its time has come, and says when that is', () => {
    const setting = { machines, backups: [daysAgo(0.5, { id: '20260109t120000' })] };
    expect(planned(setting).puts).toEqual([]);
    expect(nextBackupMs(new Draft(aWorld(setting), NOW))).toBe(NOW + 12 * HOUR);
    expect(planned({ machines, backups: [daysAgo(3)] }).puts.map(({ key }) => key)).toEqual([
      'backups/crm/db/20260110t000000',
    ]);
  });

  test('waits for one that is being made, and for a machine that does not run', () => {
    expect(planned({ machines, backups: [daysAgo(3, { state: 'wanted', made: null })] }).puts).toEqual([]);
    expect(planned({ machines, vms: [db({ state: 'unknown' })] }).puts).toEqual([]);
  });

  test('tries again sooner than its time when one has failed', () => {
    const failed = daysAgo(0, { id: '20260109t234000', state: 'failed', createdAtMs: NOW - HOUR / 3 });
    expect(planned({ machines, backups: [failed] }).puts).toHaveLength(1);
  });

  test('tells when its target is not there', () => {
    const result = planned({ machines, targets: { h1: [] } });
    expect(backupIn(result, 'crm/db/20260110t000000')).toMatchObject({ state: 'failed' });
    expect(told(result)).toContain('backup-failed');
  });

  test('lets go what is beyond what it keeps, and nothing that a user asked for', () => {
    const asked = aBackup({ createdAtMs: 1 });
    const backups = [daysAgo(0), daysAgo(1), daysAgo(2), daysAgo(3), asked];
    const removed = planned({ machines, backups }).puts.filter(
      ({ value }) => (value as BackupRecord).state === 'removing',
    );
    expect(removed.map(({ key }) => key)).toEqual([
      'backups/crm/db/20260108t000000',
      'backups/crm/db/20260107t000000',
    ]);
  });

  test('keeps what a machine is still to be made from', () => {
    const old = daysAgo(3);
    const copying = { ...machines, copy: aMachine({ from: backupRef(old) }) };
    const copy = db({ id: 'crm/copy' });
    const backups = [daysAgo(0), daysAgo(1), old];
    expect(planned({ machines: copying, vms: [db(), copy], backups }).puts).toEqual([]);
  });
});

describe('a backup that is removed', () => {
  const going = aBackup({ state: 'removing' });

  test('is gone when its host has removed it', () => {
    expect(tasks('h1', { backups: [going] })).toMatchObject([{ task: 'remove' }]);
    const result = planned({ backups: [going], reports: [{ task: 'remove', ...REPORT, state: 'done' }] });
    expect(result.deletes).toEqual([`backups/${REF}`]);
  });

  test('is removed by another host that has the same target when its own is down', () => {
    expect(backupIn(planned({ backups: [going], down: ['h1'], targets: { h2: [VAULT] } }))?.host).toBe('h2');
    expect(backupIn(planned({ backups: [going], down: ['h1'] }))).toBeUndefined();
  });

  test('is forgotten when its host was removed from the fleet', () => {
    expect(planned({ backups: [{ ...going, host: 'h9', targetId: null }] }).deletes).toEqual([
      `backups/${REF}`,
    ]);
  });
});
