import type { Draft } from '../draft.ts';
import { drainingVms } from '../drains.ts';
import { change } from '../instance-states.ts';
import { declaredOf } from './wanted.ts';

/** An instance that was to go, and is not any more, gets connections again. What has stopped working meanwhile has none to wait for. */
export function followDrains(draft: Draft): void {
  for (const record of draft.of('vms', drainingVms)) {
    const isLeaving = !declaredOf(draft, record) || record.successor?.state === 'ready';
    if (record.state === 'draining' && (isLeaving || record.deleting)) continue;
    if (record.state === 'draining')
      change(draft, record, 'ready', 'it is not to go any more', { drain: null });
    else draft.put('vms', record.id, { ...record, drain: null });
  }
}
