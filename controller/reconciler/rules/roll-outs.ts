import type { VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import type { Placement } from '../placement.ts';
import { canTry } from './stays.ts';
import { type Declared, declaredOf } from './wanted.ts';
import type { Wish } from './wishes.ts';

const WHY = 'its definition has changed';

/**
 * What is made from the definition as it is now follows on an instance that was made from another one, on another host: why that is so.
 * Null: it is not.
 */
export function replacementWish(draft: Draft, record: VmRecord): Wish | null {
  if (record.role === null || record.deleting || !(record.successor || record.stay)) return null;
  const made = declaredOf(draft, record);
  if (!made || made.definition === record.definition) return null;
  return { to: null, why: WHY, askedAtMs: askingOf(draft, record), mode: 'auto', copies: false };
}

/** What failed is tried again when the application is declared anew. */
const askingOf = (draft: Draft, { app }: VmRecord): number => draft.get('applications', app)?.generation ?? 0;

/**
 * An instance that works is followed by one of the new definition, which is made on another host first.
 * @returns false when no other host has room for it: then it is to be replaced where there is.
 */
export function replaceByFollowing(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  { kind, definition, size, pool }: Declared,
): boolean {
  // One of yet another definition is dropped first.
  if (record.successor) return true;
  const stay = record.stay?.askedAtMs === askingOf(draft, record) ? record.stay : null;
  if (stay && !canTry(draft, record)) return true;
  const made = { kind, definition, size, pool };
  const target = { only: null, avoid: record.host, failedOn: stay?.failedOn ?? {} };
  if (placement.wouldTake({ ...record, ...made, failedOn: target.failedOn }, target))
    return placement.placeSuccessor(record, made, target, WHY) !== null || stay !== null;
  // What failed there is not put in the place of what works.
  return stay !== null;
}
