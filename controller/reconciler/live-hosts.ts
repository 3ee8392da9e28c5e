import type { HostLink } from '../fleet/contract.ts';
import type { LiveHost } from './world.ts';

type Tells = (live: LiveHost) => boolean;

/** Hosts by name, with those that tell something of their own at hand: most tell nothing of most matters. */
class LiveMap extends Map<string, LiveHost> {
  readonly #telling = new Map<Tells, Map<string, LiveHost>>();

  telling(tells: Tells): ReadonlyMap<string, LiveHost> {
    const known = this.#telling.get(tells);
    if (known) return known;
    const those = thoseOf(this, tells);
    this.#telling.set(tells, those);
    return those;
  }

  override set(name: string, live: LiveHost): this {
    for (const [tells, those] of this.#telling) {
      if (tells(live) !== those.has(name)) this.#telling.delete(tells);
      else if (those.has(name)) those.set(name, live);
    }
    return super.set(name, live);
  }

  override delete(name: string): boolean {
    this.#telling.clear();
    return super.delete(name);
  }
}

/**
 * The hosts of which something holds, in the order of all.
 * @param tells pure, and one function for all its calls: it is what they are remembered by.
 */
export const telling = (
  live: ReadonlyMap<string, LiveHost>,
  tells: (live: LiveHost) => boolean,
): ReadonlyMap<string, LiveHost> => (live instanceof LiveMap ? live.telling(tells) : thoseOf(live, tells));

const thoseOf = (live: ReadonlyMap<string, LiveHost>, tells: Tells): Map<string, LiveHost> =>
  new Map([...live].filter(([, each]) => tells(each)));

/** Hosts as they are heard now, made from their links. What stays the same from one pass to the next is the same object. */
export class LiveHosts {
  readonly #live = new LiveMap();
  /** What they were made from. A link never changes: there is another one. */
  #links: readonly HostLink[] = [];

  /**
   * @param unsure hosts of which it may have changed what they have acknowledged although their links are the same.
   * @returns the one map of all passes, as it is to be for the one that begins now.
   */
  of(
    links: readonly HostLink[],
    acknowledged: (link: Pick<HostLink, 'name' | 'report'>) => LiveHost['acknowledged'],
    unsure: Iterable<string>,
  ): ReadonlyMap<string, LiveHost> {
    const before = this.#links;
    this.#links = links;
    for (let index = 0; index < links.length; index++) {
      const link = links[index];
      if (link && link !== before[index])
        this.#live.set(link.name, { ...link, acknowledged: acknowledged(link) });
    }
    for (const name of unsure) {
      const live = this.#live.get(name);
      if (!live) continue;
      const now = acknowledged({ name, report: live.report });
      if (now !== live.acknowledged) this.#live.set(name, { ...live, acknowledged: now });
    }
    if (this.#live.size > links.length) this.#forgetOthers(links);
    return this.#live;
  }

  #forgetOthers(links: readonly HostLink[]): void {
    const names = new Set(links.map(({ name }) => name));
    for (const name of [...this.#live.keys()]) if (!names.has(name)) this.#live.delete(name);
  }
}
