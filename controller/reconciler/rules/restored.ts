import type { Failure, RestoreGoal } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../model/records.ts';
import { readersOf, restoreGoalOf } from '../backup-tasks.ts';
import type { Draft } from '../draft.ts';
import { nameOf } from '../placement.ts';

export type DiskSource =
  | { readonly restore: RestoreGoal; readonly hosts: readonly string[] }
  | { readonly restore: null; readonly failure: Failure };

/** The backup that a machine, which has no disk yet, begins as, and the hosts that have it; null: with an empty disk on its image. */
export function sourceOf(draft: Draft, record: VmRecord): DiskSource | null {
  if (record.kind !== 'machine' || record.diskIncarnation > 0) return null;
  const from = draft.get('applications', record.app)?.service.machines[nameOf(record.id)]?.from;
  if (from === undefined) return null;
  const backup = draft.get('backups', from);
  // One request for each life of the machine: its disk is made once.
  const restore = backup ? restoreGoalOf(backup, `${record.createdAtMs}`, record.incarnation + 1) : null;
  if (!backup || !restore)
    return {
      restore: null,
      failure: {
        code: 'not-found',
        message: `${record.id} begins as backup ${from}, which is ${backup ? backup.state : 'not there'}`,
        remedy: 'Name another one in the model, or none: weft machine backups lists them.',
      },
    };
  const hosts = readersOf(draft.all('hosts'), backup);
  return { restore, hosts: hosts.length > 0 ? hosts : [backup.host] };
}
