import { lookup } from 'node:dns/promises';

/** Addresses of names, as they were last known: a resolver that is away for a moment opens nothing. */
export class LastAddresses {
  readonly #known = new Map<string, readonly string[]>();

  /** @param name or an address, which is its own. @returns none for what was never known. */
  async of(name: string): Promise<readonly string[]> {
    const found = await lookup(name, { all: true }).catch(() => null);
    if (found) this.#known.set(name, found.map(({ address }) => address).sort());
    return this.#known.get(name) ?? [];
  }
}
