/** Values that are frozen through and through. */
const frozen = new WeakSet<object>();

/** One value serves every reader of a store: it cannot be changed. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  for (const each of Object.values(value)) freeze(each);
  frozen.add(value);
  return Object.freeze(value);
}

/**
 * The value as a database would have it, frozen: a copy, of JSON alone. Parts that came out of a store are kept as they are, so a record
 * that is written with one field changed costs that field, and shows at a glance what has stayed the same.
 */
export function frozenCopy<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  return freeze(Array.isArray(value) ? copyOfList(value) : copyOfFields(value)) as T;
}

const copyOfList = (list: readonly unknown[]): unknown[] =>
  list.map((each) => (each === undefined ? null : frozenCopy(each)));

function copyOfFields(value: object): unknown {
  if (Object.getPrototypeOf(value) !== Object.prototype) return JSON.parse(JSON.stringify(value));
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(fields.map(([name, each]) => [name, frozenCopy(each)]));
}
