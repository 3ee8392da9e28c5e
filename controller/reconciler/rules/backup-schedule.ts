import { backupIdAt, backupRef } from '../../model/backup-ids.ts';
import type { BackupRecord, VmRecord } from '../../model/records.ts';
import type { BackupSchedule } from '../../model/service.ts';
import { targetOn } from '../backup-tasks.ts';
import type { Draft } from '../draft.ts';

/** A scheduled backup that failed is tried again after this, or at its next time if that is sooner. */
const AFTER_FAILURE_MS = 900_000;
/** Of one machine: why backups failed is to be read, not collected. */
const FAILED_KEPT = 5;

/** Makes the backups that are due, and lets those go that are beyond what is kept. */
export function followSchedules(draft: Draft): void {
  const scheduled = [...schedules(draft)];
  for (const { vm, schedule } of scheduled) {
    const dueMs = dueAt(backupsOf(draft, vm.id), schedule, draft.nowMs);
    if (dueMs !== null && dueMs <= draft.nowMs) order(draft, vm, schedule);
  }
  // After a machine has stopped being scheduled, what there is stays.
  for (const { vm, schedule } of scheduled) prune(draft, vm.id, schedule.keep);
  dropFailed(draft);
}

/** Unix ms of the next time that a backup is due; null: none is. */
export function nextBackupMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { vm, schedule } of schedules(draft)) {
    const dueMs = dueAt(backupsOf(draft, vm.id), schedule, draft.nowMs);
    if (dueMs !== null && dueMs > draft.nowMs) next = Math.min(next ?? Number.POSITIVE_INFINITY, dueMs);
  }
  return next;
}

/** Machines that run and have a schedule. */
function* schedules(draft: Draft): Generator<{ vm: VmRecord & { host: string }; schedule: BackupSchedule }> {
  for (const { name, service, deleting } of draft.all('applications')) {
    if (deleting) continue;
    for (const [machine, { backup: schedule }] of Object.entries(service.machines)) {
      const vm = draft.get('vms', `${name}/${machine}`);
      if (!schedule || vm?.kind !== 'machine' || vm.deleting || vm.host === null) continue;
      if (vm.state === 'ready' || vm.state === 'unready') yield { vm: { ...vm, host: vm.host }, schedule };
    }
  }
}

/**
 * When the next one is due; null: one is being made. The first is due at once, and times are counted from the last that was begun, so that
 * one that was late, or a controller that was away, makes one backup and not many.
 */
export function dueAt(
  known: readonly Pick<BackupRecord, 'state' | 'reason' | 'createdAtMs'>[],
  { everyMs }: Pick<BackupSchedule, 'everyMs'>,
  nowMs: number,
): number | null {
  if (known.some(({ state }) => state === 'wanted')) return null;
  let last: (typeof known)[number] | null = null;
  for (const record of known)
    if (record.reason === 'scheduled' && record.createdAtMs >= (last?.createdAtMs ?? 0)) last = record;
  if (!last) return nowMs;
  return last.createdAtMs + (last.state === 'failed' ? Math.min(everyMs, AFTER_FAILURE_MS) : everyMs);
}

/**
 * Which of a machine's backups are beyond the newest `keep`. Only those that a schedule made and that are whole count; at least one of them
 * always stays.
 */
export function beyond<T extends Pick<BackupRecord, 'state' | 'reason' | 'createdAtMs'>>(
  known: readonly T[],
  keep: number,
): readonly T[] {
  return known
    .filter(({ state, reason }) => state === 'done' && reason === 'scheduled')
    .sort((one, other) => other.createdAtMs - one.createdAtMs)
    .slice(Math.max(1, keep));
}

function order(draft: Draft, vm: VmRecord & { host: string }, { to }: BackupSchedule): void {
  if (!vm.image) return;
  const target = targetOn(draft.get('hosts', vm.host)?.offer, to);
  const id = backupIdAt(draft.nowMs, (each) => draft.get('backups', `${vm.id}/${each}`) !== undefined);
  const message = `host ${vm.host} has no backup target ${to}`;
  const remedy = 'Add it to backups in its agent.yaml, or mount it; or name another one in the model.';
  draft.put('backups', `${vm.id}/${id}`, {
    id,
    vmId: vm.id,
    app: vm.app,
    state: target ? 'wanted' : 'failed',
    reason: 'scheduled',
    target: to,
    targetId: target?.id ?? null,
    host: vm.host,
    createdAtMs: draft.nowMs,
    endedAtMs: target ? null : draft.nowMs,
    failure: target ? null : { code: 'not-found', message, remedy },
    made: null,
    image: { name: vm.image.name, version: vm.image.version },
    size: vm.size,
    pool: vm.pool,
    restore: null,
  });
  if (!target) draft.tell('backup-failed', vm.id, `${id}: ${message}`, { backup: `${vm.id}/${id}` });
}

function prune(draft: Draft, vmId: string, keep: number): void {
  const inUse = usedBackups(draft);
  for (const record of beyond(backupsOf(draft, vmId), keep))
    if (!inUse.has(backupRef(record)) && record.restore?.state !== 'verifying')
      draft.put('backups', backupRef(record), { ...record, state: 'removing' });
}

/** What a machine is still to be made from. */
function usedBackups(draft: Draft): ReadonlySet<string> {
  const used = new Set<string>();
  for (const { service } of draft.all('applications'))
    for (const { from } of Object.values(service.machines)) if (from) used.add(from);
  for (const { restore, restoreRequested, state } of draft.all('vms')) {
    if (restoreRequested) used.add(backupRef(restoreRequested));
    if (restore && state !== 'ready') used.add(backupRef(restore));
  }
  return used;
}

function dropFailed(draft: Draft): void {
  const failed = new Map<string, BackupRecord[]>();
  for (const record of draft.all('backups'))
    if (record.state === 'failed') failed.set(record.vmId, [...(failed.get(record.vmId) ?? []), record]);
  for (const records of failed.values())
    for (const record of records.sort((one, other) => other.createdAtMs - one.createdAtMs).slice(FAILED_KEPT))
      draft.delete('backups', backupRef(record));
}

function backupsOf(draft: Draft, vmId: string): readonly BackupRecord[] {
  return [...draft.all('backups')].filter((record) => record.vmId === vmId);
}
