/** A map that has its values as a list too: the very same list for as long as nothing changes. */
export class ListedMap<V> extends Map<string, V> {
  #list: readonly V[] | null = null;

  /** The values, in the map's order. */
  list(): readonly V[] {
    this.#list ??= [...this.values()];
    return this.#list;
  }

  override set(key: string, value: V): this {
    this.#list = null;
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#list = null;
    return super.delete(key);
  }

  override clear(): void {
    this.#list = null;
    super.clear();
  }
}

/** A map's values, as the same list as before where the map keeps one. */
export const listOf = <V>(map: ReadonlyMap<string, V>): readonly V[] =>
  map instanceof ListedMap ? map.list() : [...map.values()];
