import type { HostRecord, VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { sharedPoolOf } from '../shared-pools.ts';
import type { Wish } from './wishes.ts';

/** Longer than a host has to find another one in a pool: what is not found by then is a copy, or another mount. */
export const MOST_WAIT_MS = 90_000;

/**
 * Which host of those that a machine leaves, or may go to, has not been heard since the controller began, and so has not said yet what
 * it can do; null: none. One that stays silent is soon down.
 */
export function unheardHost(draft: Draft, record: VmRecord, from: HostRecord, wish: Wish): string | null {
  const pool = sharedPoolOf(from, record.pool)?.id;
  const mayTake = ({ name, state, offer }: HostRecord) =>
    (state === 'up' || state === 'suspect') &&
    (wish.to ?? name) === name &&
    sharedPoolOf({ offer }, record.pool)?.id === pool;
  const isUnheard = ({ name }: HostRecord) => draft.world.live.get(name)?.hello == null;
  if (isUnheard(from)) return from.name;
  return draft.all('hosts').find((host) => mayTake(host) && isUnheard(host))?.name ?? null;
}

/** Whether a wish may wait: a user's, for so long. What leaves because its host drains waits anyhow, and is told by the drain. */
export const mayWait = (draft: Draft, { moveTo, moveWait }: VmRecord): boolean =>
  moveTo !== null && (moveWait == null || draft.nowMs < moveWait.untilMs);

/** What a wish waits for is on the record, and told once. */
export function noteWait(draft: Draft, record: VmRecord, reason: string): void {
  if (record.moveTo === null || record.moveWait?.reason === reason) return;
  const untilMs = record.moveWait?.untilMs ?? draft.nowMs + MOST_WAIT_MS;
  draft.put('vms', record.id, { ...record, moveWait: { untilMs, reason } });
  draft.tell('vm-move-waits', record.id, reason);
}

/** It is judged now. */
export function endWait(draft: Draft, record: VmRecord): VmRecord {
  if (record.moveWait == null) return record;
  const next = { ...record, moveWait: null };
  draft.put('vms', record.id, next);
  return next;
}
