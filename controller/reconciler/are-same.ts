import { isSameDocument } from '../../agent/kit/same-document.ts';

/** What was compared with what last. Records and frames are never changed, so what they were found to be they stay. */
const lastCompared = new WeakMap<object, { readonly other: object | null; readonly same: boolean }>();

/** Deep equality of two values that never change; asked again of the same pair, it is remembered. */
export function areSame(one: object | null, other: object | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  const known = lastCompared.get(one);
  if (known?.other === other) return known.same;
  const same = isSameDocument(one, other);
  lastCompared.set(one, { other, same });
  return same;
}
