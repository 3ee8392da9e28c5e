import type { BackupReport, Failure } from '../../../agent/protocol/index.ts';
import { backupRef } from '../../model/backup-ids.ts';
import type { ApplicationRecord, BackupRecord, VmRecord } from '../../model/records.ts';
import type { Machine } from '../../model/service.ts';
import { canRead, readersOf, restoreGoalOf, targetOn } from '../backup-tasks.ts';
import type { Draft } from '../draft.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** Takes in what hosts say of backups, and settles those whose machine or host is not what it was. */
export function followBackups(draft: Draft): void {
  for (const [host, live] of telling(draft.world.live, tellsOfBackups)) {
    if (draft.get('hosts', host)?.state !== 'up') continue;
    for (const report of live.report?.backups ?? []) {
      const record = draft.get('backups', backupRef(report));
      if (record) FOLLOW[report.task](draft, record, host, report);
    }
  }
  for (const record of [...draft.all('backups')]) {
    if (record.state === 'wanted') followMachine(draft, record);
    if (record.state === 'removing') followRemoval(draft, record);
    if (record.restore?.state === 'verifying') followReader(draft, record);
  }
}

const tellsOfBackups = ({ connected, report }: LiveHost): boolean =>
  connected && (report?.backups ?? []).length > 0;

type Follow = (draft: Draft, record: BackupRecord, host: string, report: BackupReport) => void;

/** One function a task. What is told of something that is not asked any more changes nothing. */
const FOLLOW: Readonly<Record<BackupReport['task'], Follow>> = {
  make(draft, record, host, { state, made, failure }) {
    if (record.state !== 'wanted' || record.host !== host) return;
    if (state === 'failed') fail(draft, record, failure ?? NO_REASON);
    if (state !== 'done' || !made) return;
    put(draft, { ...record, state: 'done', made, failure: null, endedAtMs: draft.nowMs });
    draft.tell(
      'backup-made',
      record.vmId,
      `${record.id} in ${record.target} of ${host}, ${made.consistency}`,
      {
        backup: backupRef(record),
        sizeBytes: made.sizeBytes,
      },
    );
  },
  verify(draft, record, host, { state, request, failure }) {
    const { restore } = record;
    if (restore?.state !== 'verifying' || restore.request !== request || restore.host !== host) return;
    if (state === 'failed') refuse(draft, record, failure ?? NO_REASON);
    if (state === 'done') accept(draft, record);
  },
  remove(draft, record, host, { state, failure }) {
    if (record.state !== 'removing' || record.host !== host) return;
    if (state === 'failed') put(draft, { ...record, failure: failure ?? NO_REASON });
    if (state === 'done') forget(draft, record, `it was removed from ${record.target} of ${host}`);
  },
};

const NO_REASON: Failure = { code: 'internal', message: 'the host gave no reason' };

const put = (draft: Draft, record: BackupRecord) => draft.put('backups', backupRef(record), record);

function fail(draft: Draft, record: BackupRecord, failure: Failure): void {
  put(draft, { ...record, state: 'failed', failure, endedAtMs: draft.nowMs });
  draft.tell('backup-failed', record.vmId, `${record.id}: ${failure.message}`, { backup: backupRef(record) });
}

function forget(draft: Draft, record: BackupRecord, why: string): void {
  draft.delete('backups', backupRef(record));
  draft.tell('backup-removed', record.vmId, `${record.id}: ${why}`);
}

/** A backup is made where its machine is. */
function followMachine(draft: Draft, record: BackupRecord): void {
  const vm = draft.get('vms', record.vmId);
  if (!vm || vm.deleting) {
    fail(draft, record, { code: 'not-found', message: `${record.vmId} was deleted before it was backed up` });
    return;
  }
  if (vm.host === null || vm.host === record.host) return;
  const target = targetOn(draft.get('hosts', vm.host)?.offer, record.target);
  if (target) put(draft, { ...record, host: vm.host, targetId: target.id });
  else
    fail(draft, record, {
      code: 'not-found',
      message: `${record.vmId} has moved to ${vm.host}, which has no backup target ${record.target}`,
    });
}

/** Whoever has the folder removes it; what nobody has is gone with its host. */
function followRemoval(draft: Draft, record: BackupRecord): void {
  const host = draft.get('hosts', record.host);
  if (host?.state === 'up' && canRead(host, record)) return;
  const [other] = readersOf(draft.all('hosts'), record);
  if (other !== undefined) put(draft, { ...record, host: other });
  else if (!host) forget(draft, record, `its host ${record.host} is no more`);
}

function followReader(draft: Draft, record: BackupRecord): void {
  const host = draft.get('hosts', record.restore?.host ?? '');
  if (host && host.state !== 'down' && host.state !== 'fenced' && record.state === 'done') return;
  refuse(draft, record, {
    code: 'host-unreachable',
    message: `host ${record.restore?.host}, which was to read the backup, is not there`,
    remedy: 'Ask again when it is up, or restore where another host has the same target.',
  });
}

function refuse(draft: Draft, record: BackupRecord, failure: Failure): void {
  if (!record.restore) return;
  put(draft, { ...record, restore: { ...record.restore, state: 'refused', failure } });
  draft.tell('restore-refused', record.restore.as, failure.message, { backup: backupRef(record) });
}

/** The backup is good: now, and not before, something is made of it. */
function accept(draft: Draft, record: BackupRecord): void {
  const { restore } = record;
  const goal = restore && restoreGoalOf(record, restore.request, 1);
  if (!restore || !goal) return;
  const problem =
    restore.as === record.vmId && draft.get('vms', record.vmId)
      ? inPlace(draft, restore.as, (vm) => ({ ...vm, restoreRequested: goal }))
      : declare(draft, restore.as, {
          image: `${record.image.name}:${record.image.version}`,
          size: record.size,
          pool: record.pool,
          from: backupRef(record),
        });
  if (problem !== null) {
    refuse(draft, record, { code: 'conflict', message: problem });
    return;
  }
  put(draft, { ...record, restore: { ...restore, state: 'accepted' } });
  draft.tell('restore-accepted', restore.as, `its disk becomes backup ${backupRef(record)}`);
}

function inPlace(draft: Draft, vmId: string, patch: (vm: VmRecord) => VmRecord): string | null {
  const vm = draft.get('vms', vmId);
  if (!vm || vm.deleting) return `${vmId} was deleted meanwhile`;
  draft.put('vms', vmId, patch(vm));
  return null;
}

/** As if the model had it: the machine is made by the rule that makes all of them. */
function declare(draft: Draft, vmId: string, machine: Machine): string | null {
  const [app = '', name = ''] = vmId.split('/');
  const application: ApplicationRecord | undefined = draft.get('applications', app);
  if (!application || application.deleting) return `there is no application ${app} any more`;
  if (draft.get('vms', vmId) || application.service.machines[name] || draft.get('tombstones', vmId))
    return `there is a machine ${vmId} by now`;
  const machines = { ...application.service.machines, [name]: machine };
  draft.put('applications', app, {
    ...application,
    generation: application.generation + 1,
    service: { ...application.service, machines },
  });
  return null;
}
