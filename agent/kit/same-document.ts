/**
 * Whether two values are the same JSON document. A field that is `undefined` is one that is not there, and fields have no order. What is
 * the same object in both is not looked into, so documents that share their parts cost what they differ by.
 */
export function isSameDocument(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const isList = Array.isArray(one);
  if (isList !== Array.isArray(other)) return false;
  return isList
    ? haveSameItems(one, other as readonly unknown[])
    : haveSameFields(one as Fields, other as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

function haveSameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++)
    if (!isSameDocument(one[index], other[index])) return false;
  return true;
}

function haveSameFields(one: Fields, other: Fields): boolean {
  let fields = 0;
  // Unlike a list of its keys, this costs no memory; documents inherit nothing.
  for (const name in one) {
    const value = one[name];
    if (value === undefined) continue;
    fields++;
    if (value === other[name]) continue;
    if (!Object.hasOwn(other, name) || !isSameDocument(value, other[name])) return false;
  }
  for (const name in other) if (other[name] !== undefined) fields--;
  return fields === 0;
}
