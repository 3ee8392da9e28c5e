import { isSameDocument } from './same-document.ts';

/**
 * The second of two JSON documents, made of the first one's objects wherever they are the same, and the first itself where all of it is: what
 * has been looked at of the first need not be looked at again. Neither is changed.
 */
export function withPartsOf<T>(before: unknown, now: T): T {
  if (before === now || typeof before !== 'object' || typeof now !== 'object') return now;
  if (before === null || now === null || Array.isArray(before) !== Array.isArray(now)) return now;
  return Array.isArray(now) ? (itemsOf(before as unknown[], now) as T) : (fieldsOf(before, now) as T);
}

function itemsOf(before: readonly unknown[], now: readonly unknown[]): readonly unknown[] {
  const { length } = now;
  let isSame = before.length === length;
  let made: unknown[] | null = null;
  for (let index = 0; index < length; index++) {
    const value = now[index];
    const kept = index < before.length ? withPartsOf(before[index], value) : value;
    if (kept !== before[index]) isSame = false;
    if (kept === value) continue;
    made ??= [...now];
    made[index] = kept;
  }
  return isSame ? before : (made ?? now);
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(before: object, now: object): object {
  const [one, other] = [before as Fields, now as Fields];
  let isSame = true;
  let made: Record<string, unknown> | null = null;
  for (const name in other) {
    const value = other[name];
    const known = Object.hasOwn(one, name) ? one[name] : undefined;
    const kept = withPartsOf(known, value);
    if (kept !== known) isSame = false;
    if (kept === value) continue;
    made ??= { ...other };
    made[name] = kept;
  }
  if (isSame && isSameDocument(before, made ?? now)) return before;
  return made ?? now;
}
