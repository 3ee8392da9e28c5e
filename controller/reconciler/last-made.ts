/** What was made last for each owner, and all that it was made from. None of that ever changes: where something is other, there is another object. */
export class LastMade<Owner extends object, T> {
  readonly #last = new WeakMap<Owner, { readonly madeFrom: readonly unknown[]; readonly value: T }>();

  /**
   * The same answer as the last one where it would be made from the very same things, and a new one otherwise.
   * @param madeFrom whatever `make` looks at, less the owner where that never changes, in the same order at each call.
   * @param make pure. @param before what was made last, of whatever.
   */
  of(owner: Owner, madeFrom: readonly unknown[], make: (before: T | undefined) => T): T {
    const last = this.#last.get(owner);
    if (last && areTheSame(last.madeFrom, madeFrom)) return last.value;
    const value = make(last?.value);
    this.#last.set(owner, { madeFrom, value });
    return value;
  }
}

/** Whether two lists have the very same items. */
export function areTheSame(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}
