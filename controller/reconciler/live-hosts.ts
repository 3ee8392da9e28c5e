import type { HostLink } from '../fleet/contract.ts';
import { saysTheSame } from './says-the-same.ts';
import type { LiveHost } from './world.ts';

type Tells = (live: LiveHost) => boolean;

/** Hosts by name, with those that tell something of their own at hand: most tell nothing of most matters. */
class LiveMap extends Map<string, LiveHost> {
  readonly #telling = new Map<Tells, ReadonlySet<string>>();

  telling(tells: Tells): Iterable<string> {
    const known = this.#telling.get(tells);
    if (known) return known;
    const names = new Set(namesOf(this, tells));
    this.#telling.set(tells, names);
    return names;
  }

  override set(name: string, live: LiveHost): this {
    const before = this.get(name);
    if (!before || !tellTheSame(before, live))
      for (const [tells, names] of this.#telling)
        if (tells(live) !== names.has(name)) this.#telling.delete(tells);
    return super.set(name, live);
  }

  override delete(name: string): boolean {
    this.#telling.clear();
    return super.delete(name);
  }
}

/** Whether the one tells of nothing that the other does not tell of as well. */
const tellTheSame = (one: LiveHost, other: LiveHost): boolean =>
  one.connected === other.connected &&
  (one.report === other.report ||
    (one.report !== null && other.report !== null && saysTheSame(one.report, other.report)));

/**
 * Names of the hosts of which something holds, in the order of all.
 * @param tells whether it holds, by the session and what `saysTheSame` compares of the report. Pure, and one function for all its
 * calls: it is what the names are remembered by.
 */
export const telling = (live: ReadonlyMap<string, LiveHost>, tells: Tells): Iterable<string> =>
  live instanceof LiveMap ? live.telling(tells) : namesOf(live, tells);

function namesOf(live: ReadonlyMap<string, LiveHost>, tells: Tells): readonly string[] {
  const names: string[] = [];
  live.forEach((each, name) => {
    if (tells(each)) names.push(name);
  });
  return names;
}

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
