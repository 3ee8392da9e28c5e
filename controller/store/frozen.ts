/** Values that are frozen through and through. */
const frozen = new WeakSet<object>();

/** One value serves every reader of a store: it cannot be changed. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  // Most of what a goal shares with the one before is frozen: it costs a look, and no list of its parts.
  if (Array.isArray(value)) for (let index = 0; index < value.length; index++) freeze(value[index]);
  else for (const name in value) freeze(value[name]);
  frozen.add(value);
  return Object.freeze(value);
}

/**
 * The value as a database would have it, frozen: a copy, of JSON alone. Parts that came out of a store are kept as they are, so a record
 * that is written with one field changed costs that field, and shows at a glance what has stayed the same.
 */
export function frozenCopy<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype)
    return freeze(JSON.parse(JSON.stringify(value)));
  const copy = Array.isArray(value) ? copyOfList(value) : copyOfFields(value as Fields);
  // What is in it is frozen already.
  frozen.add(copy);
  return Object.freeze(copy) as T;
}

type Fields = Readonly<Record<string, unknown>>;

const copyOfList = (list: readonly unknown[]): object =>
  list.map((each) => (each === undefined ? null : frozenCopy(each)));

/** Most fields of most records are what they were, or are no objects: they are copied all at once. */
function copyOfFields(fields: Fields): object {
  const copy: Record<string, unknown> = { ...fields };
  for (const name in copy) {
    const value = copy[name];
    if (value === undefined) return copyOfDefined(fields);
    if (typeof value === 'object' && value !== null && !frozen.has(value)) copy[name] = frozenCopy(value);
  }
  return copy;
}

function copyOfDefined(fields: Fields): object {
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined) continue;
    // A plain assignment of this one would be none.
    if (name === '__proto__')
      Object.defineProperty(copy, name, { value: frozenCopy(value), enumerable: true });
    else copy[name] = frozenCopy(value);
  }
  return copy;
}
