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

/** Items in front of what has changed in a list, and behind it, are the first one's; where one item has, what is in it is looked at too. */
function itemsOf(before: readonly unknown[], now: readonly unknown[]): readonly unknown[] {
  const shorter = Math.min(before.length, now.length);
  let front = 0;
  while (front < shorter && isSameDocument(before[front], now[front])) front++;
  if (front === before.length && front === now.length) return before;
  let back = 0;
  while (back < shorter - front && isSameDocument(before.at(-1 - back), now.at(-1 - back))) back++;
  const changed = now.slice(front, now.length - back);
  if (changed.length === 1 && before.length === now.length)
    changed[0] = withPartsOf(before[front], changed[0]);
  return [...before.slice(0, front), ...changed, ...before.slice(before.length - back)];
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
