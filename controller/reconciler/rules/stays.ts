import type { Stay, VmRecord } from '../../model/records.ts';
import { FAILURES_HELD_AGAINST_A_HOST } from '../../scheduler/scorers/earlier-failures.ts';
import { restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import type { Wish } from './wishes.ts';

/** Successors that fail, before a VM stays where it is until it is asked again. */
const MOST_TRIES = 3;
const WAIT = { firstMs: 5_000, factor: 4 };

/** Not while it waits after a failure, nor after too many. */
export const canTry = (draft: Draft, { stay }: VmRecord): boolean =>
  !stay || (stay.retryAtMs !== null && stay.retryAtMs <= draft.nowMs);

/** What kept it is of no account once it need not leave, or when it is asked anew. */
export function clearStay(draft: Draft, record: VmRecord, wish: Wish | null): VmRecord {
  if (!record.stay || record.stay.askedAtMs === wish?.askedAtMs) return record;
  const next = { ...record, stay: null };
  draft.put('vms', record.id, next);
  return next;
}

/** A successor failed. After some of them the VM stays, visibly: neither a drain nor a move goes on for ever. */
export function noteFailure(draft: Draft, record: VmRecord, before: VmRecord, wish: Wish | null): void {
  const { successor } = before;
  if (!successor || !wish) return;
  const failures = (record.stay?.failures ?? 0) + 1;
  const isLast = failures >= MOST_TRIES;
  const told = successor.failure?.message ?? 'its host gave no reason';
  const message = `its successor failed on ${successor.host}: ${told}`.slice(0, 1024);
  const failedOn = record.stay?.failedOn ?? {};
  const stay: Stay = {
    askedAtMs: wish.askedAtMs,
    failures,
    // The next try is made on another host, if there is one.
    failedOn: {
      ...failedOn,
      [successor.host]: (failedOn[successor.host] ?? 0) + FAILURES_HELD_AGAINST_A_HOST,
    },
    retryAtMs: isLast ? null : draft.nowMs + WAIT.firstMs * WAIT.factor ** (failures - 1),
    message,
  };
  const moveTo = isLast ? null : record.moveTo;
  draft.put('vms', record.id, { ...record, stay, moveTo });
  const end = isLast ? `after ${failures} tries it stays on ${record.host}` : 'it is tried again';
  draft.tell('vm-move-failed', record.id, `${message}; ${end}`, { failures, host: successor.host });
}

/** What cannot leave as it was asked to stays until it is asked again; the reason is told. */
export function noteStay(draft: Draft, record: VmRecord, wish: Wish, message: string): void {
  const current = draft.get('vms', record.id) ?? record;
  const stay: Stay = {
    ...{ askedAtMs: wish.askedAtMs, failures: current.stay?.failures ?? 0, failedOn: {} },
    ...{ retryAtMs: null, message: message.slice(0, 1024) },
  };
  draft.put('vms', record.id, { ...current, stay, moveTo: null });
  draft.tell('vm-move-failed', record.id, `${message}; it stays on ${record.host}`);
}

/** A move that no host takes is told once and given up; the VM stays. */
export function dropMove(draft: Draft, record: VmRecord): void {
  const current = draft.get('vms', record.id) ?? record;
  draft.put('vms', record.id, { ...current, moveTo: null });
  draft.tell(
    'vm-refused',
    record.id,
    `it could not be moved to ${record.moveTo === '*' ? 'another host' : record.moveTo}`,
  );
}

/** Unix ms of the next try of what failed to leave, or of the end of a wait to be judged; null: none. */
export function nextTryMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { stay, moveTo, moveWait } of draft.of('vms', restlessVms))
    for (const atMs of [stay?.retryAtMs, moveTo === null ? null : moveWait?.untilMs])
      if (atMs != null && atMs > draft.nowMs) next = Math.min(next ?? Number.POSITIVE_INFINITY, atMs);
  return next;
}
