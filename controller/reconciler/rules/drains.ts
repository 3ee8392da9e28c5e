import { isToGo, type VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { drainingVms } from '../drains.ts';
import { change } from '../instance-states.ts';
import { declaredOf } from './wanted.ts';

/** What was to go, and is not any more, gets connections again. What has stopped working meanwhile has none to wait for. */
export function followDrains(draft: Draft): void {
  for (const record of draft.of('vms', drainingVms)) {
    if (record.state !== 'draining') draft.put('vms', record.id, { ...record, drain: null });
    else if (!isLeaving(draft, record) && !beginsAnew(draft, record))
      change(
        draft,
        record,
        'ready',
        isMoved(draft, record) ? 'it is moved instead' : 'it is not to go any more',
        {
          drain: null,
        },
      );
  }
}

/** Nobody wants it, or what takes its place is there, or has its place. */
function isLeaving(draft: Draft, record: VmRecord): boolean {
  if (isToGo(record)) return true;
  if (draft.get('applications', record.app)?.deleting !== false || !declaredOf(draft, record)) return true;
  const { role, successor } = record;
  return role === null ? Boolean(successor && !successor.live) : successor?.state === 'ready';
}

/** An instance that was asked to move meanwhile: what is made anew is made on another host, and it need not be away for that. */
const isMoved = (draft: Draft, { role, host, moveTo, successor }: VmRecord): boolean =>
  role !== null &&
  host !== null &&
  ![null, host].includes(moveTo) &&
  !successor &&
  draft.get('hosts', host)?.state === 'up';

/** It is to be there again at once, and is away meanwhile. */
function beginsAnew(draft: Draft, record: VmRecord): boolean {
  const { drain, reimageRequested, restoreRequested, rebootFrom } = record;
  if (restoreRequested || rebootFrom != null) return true;
  if (drain?.rebooting) return reimageRequested || drain.untilMs > draft.nowMs;
  if (isMoved(draft, record)) return false;
  if (reimageRequested) return true;
  return drain?.inPlace === true && declaredOf(draft, record)?.definition !== record.definition;
}
