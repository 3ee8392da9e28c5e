import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

type Lookup = (name: string) => Promise<readonly string[]>;

const bySystem: Lookup = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address).sort();

/** Addresses of names, as they were last known: a resolver that is away opens nothing, and holds nobody up. */
export class LastAddresses {
  readonly #known: Map<string, readonly string[]>;
  readonly #lookup: Lookup;

  /** @param known from before. */
  constructor(known: Readonly<Record<string, readonly string[]>> = {}, resolve: Lookup = bySystem) {
    this.#known = new Map(Object.entries(known));
    this.#lookup = resolve;
  }

  /** @param name or an address, which is its own. @returns none for what was never known. */
  of(name: string): readonly string[] {
    return isIP(name) === 0 ? (this.#known.get(name) ?? []) : [name];
  }

  /** Asks for all of these anew; what gets no answer stays as it was. @returns whether any of them is another. */
  async refresh(names: Iterable<string>): Promise<boolean> {
    const asked = [...new Set(names)].filter((name) => isIP(name) === 0);
    const changes = await Promise.all(asked.map((name) => this.#ask(name)));
    return changes.includes(true);
  }

  /** Of these names, those that are known. */
  knownOf(names: Iterable<string>): Readonly<Record<string, readonly string[]>> {
    const wanted = [...new Set(names)].sort();
    return Object.fromEntries(
      wanted.flatMap((name) => {
        const addresses = this.#known.get(name);
        return addresses ? [[name, addresses]] : [];
      }),
    );
  }

  async #ask(name: string): Promise<boolean> {
    const found = await this.#lookup(name).catch(() => null);
    if (found === null || found.length === 0) return false;
    const isOther = found.join() !== this.#known.get(name)?.join();
    this.#known.set(name, found);
    return isOther;
  }
}
