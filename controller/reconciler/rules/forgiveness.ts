import type { VmRecord } from '../../model/records.ts';
import { hasAny, restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { FORGIVEN } from '../failures.ts';

/** Longer than an agent takes a life for one of no account. */
const FORGIVEN_AFTER_MS = 60_000;

const hasSomething = (record: VmRecord) =>
  record.state === 'ready' && (record.failures > 0 || hasAny(record.failedOn));

/** What has been ready for a while has failed no more: whatever it does next is told and counted anew. */
export function forgive(draft: Draft): void {
  for (const record of draft.of('vms', restlessVms))
    if (hasSomething(record) && draft.nowMs - record.stateSinceMs >= FORGIVEN_AFTER_MS)
      draft.put('vms', record.id, { ...record, ...FORGIVEN });
}

/** Unix ms of the next time something is forgiven; null: nothing is to be. */
export function nextForgivenessMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const record of draft.of('vms', restlessVms))
    if (hasSomething(record))
      next = Math.min(next ?? Number.POSITIVE_INFINITY, record.stateSinceMs + FORGIVEN_AFTER_MS);
  return next;
}
