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
      change(draft, record, 'ready', 'it is not to go any more', { drain: null });
  }
}

/** Nobody wants it, or what takes its place is there, or has its place. */
function isLeaving(draft: Draft, record: VmRecord): boolean {
  if (isToGo(record)) return true;
  if (draft.get('applications', record.app)?.deleting !== false || !declaredOf(draft, record)) return true;
  const { role, successor } = record;
  return role === null ? Boolean(successor && !successor.live) : successor?.state === 'ready';
}

/** It is to be there again at once, and is away meanwhile. */
function beginsAnew(draft: Draft, record: VmRecord): boolean {
  const { drain, reimageRequested, restoreRequested, rebootFrom } = record;
  if (reimageRequested || restoreRequested || rebootFrom != null) return true;
  if (drain?.rebooting) return drain.untilMs > draft.nowMs;
  return drain?.inPlace === true && declaredOf(draft, record)?.definition !== record.definition;
}
