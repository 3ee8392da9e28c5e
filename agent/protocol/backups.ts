import { z } from 'zod';
import { count, digest, name, timeMs, uuid, vmId } from './primitives.ts';

/** When it was asked for, in UTC: `20260102t030405`. One machine has one of a name. */
export const BACKUP_ID_PATTERN = /^[0-9]{8}t[0-9]{6}$/;
export const backupId = z.string().regex(BACKUP_ID_PATTERN);

const which = { vmId, id: backupId, target: name };

/** What a host is to do with a backup. Each can be begun again at any time. */
export const backupTask = z.discriminatedUnion('task', [
  /** Copy the disk of the machine, which the same goal has running here. */
  z.object({ task: z.literal('make'), ...which }),
  /** Read all of it, before anything is made from it. */
  z.object({ task: z.literal('verify'), ...which, request: z.string().max(64), digest, sizeBytes: count }),
  z.object({ task: z.literal('remove'), ...which }),
]);
export type BackupTask = z.infer<typeof backupTask>;

/** `frozen`: the guest's agent had flushed and frozen its file systems. `crash-consistent`: as after a loss of power at that moment. */
export const consistency = z.enum(['frozen', 'crash-consistent']);
export type Consistency = z.infer<typeof consistency>;

/** What was made. */
export const madeBackup = z.object({
  digest,
  sizeBytes: count,
  virtualSizeBytes: count,
  consistency,
  /** The moment that it shows. */
  atMs: timeMs,
  /** Why it is no better than crash-consistent; absent: it is. */
  note: z.string().max(512).optional(),
});
export type MadeBackup = z.infer<typeof madeBackup>;

/** How a task goes. */
export const backupReport = z.object({
  task: z.enum(['make', 'verify', 'remove']),
  vmId,
  id: backupId,
  /** The verification that this answers. */
  request: z.string().max(64).optional(),
  state: z.enum(['running', 'done', 'failed']),
  percent: z.number().min(0).max(100).optional(),
  /** Of a `make` that is done. */
  made: madeBackup.optional(),
  /** Of one that failed. */
  failure: z
    .object({
      code: z.string().max(64),
      message: z.string().max(4096),
      remedy: z.string().max(1024).optional(),
    })
    .optional(),
});
export type BackupReport = z.infer<typeof backupReport>;

/** A machine's disk is to begin as, or become, this backup: once for each request. */
export const restoreGoal = z.object({
  request: z.string().max(64),
  /** The incarnation that it was asked for with: one that had a disk since then had this one. */
  since: z.number().int().min(1),
  ...which,
  digest,
  sizeBytes: count,
});
export type RestoreGoal = z.infer<typeof restoreGoal>;

/** Where a host can put backups, beside its pools. */
export const backupTarget = z.object({
  name,
  kind: z.enum(['local', 'shared']),
  /** Two hosts have the same one when both its name and this are the same. */
  id: uuid,
  freeMiB: count,
});
export type BackupTarget = z.infer<typeof backupTarget>;
