import { isSameDocument } from '../../agent/kit/same-document.ts';

/** What follows from each value, as far as it was asked for. */
interface View {
  readonly known: Map<string, unknown>;
  /** Keys of values that are other ones since. */
  readonly changed: Set<string>;
  list: readonly unknown[] | null;
}

/** A map that has its values as a list too: the very same list for as long as nothing changes. Its values never change; others take their place. */
export class ListedMap<V> extends Map<string, V> {
  #list: readonly V[] | null = null;
  readonly #views = new Map<unknown, View>();

  /** The values, in the map's order. */
  list(): readonly V[] {
    this.#list ??= [...this.values()];
    return this.#list;
  }

  /**
   * What follows from each value, in the map's order. For as long as the same document follows from one it is the same object, and the very
   * same list for as long as that is so of all and none comes or goes, whatever else of the values changes.
   * @param of pure, and one function for all its calls: it is what the answers are remembered by.
   */
  view<T>(of: (value: V) => T): readonly T[] {
    const view = this.#views.get(of) ?? this.#newView(of);
    for (const key of view.changed) {
      const now = of(this.get(key) as V);
      if (view.known.has(key) && isSameDocument(view.known.get(key), now)) continue;
      view.known.set(key, now);
      view.list = null;
    }
    view.changed.clear();
    view.list ??= [...this.keys()].map((key) => view.known.get(key));
    return view.list as readonly T[];
  }

  #newView(of: unknown): View {
    const view: View = { known: new Map(), changed: new Set(this.keys()), list: null };
    this.#views.set(of, view);
    return view;
  }

  override set(key: string, value: V): this {
    this.#list = null;
    for (const view of this.#views.values()) view.changed.add(key);
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#list = null;
    for (const view of this.#views.values()) {
      view.changed.delete(key);
      view.known.delete(key);
      view.list = null;
    }
    return super.delete(key);
  }

  override clear(): void {
    this.#list = null;
    this.#views.clear();
    super.clear();
  }
}

/** A map's values, as the same list as before where the map keeps one. */
export const listOf = <V>(map: ReadonlyMap<string, V>): readonly V[] =>
  map instanceof ListedMap ? map.list() : [...map.values()];

/** What follows from each of a map's values, as the same list as before where the map keeps one. @param of as in `ListedMap.view`. */
export const viewOf = <V, T>(map: ReadonlyMap<string, V>, of: (value: V) => T): readonly T[] =>
  map instanceof ListedMap ? map.view(of) : [...map.values()].map(of);
