import type { HostLink } from '../fleet/contract.ts';
import type { LiveHost } from './world.ts';

/** Hosts as they are heard now, made from their links. What stays the same from one pass to the next is the same object. */
export class LiveHosts {
  readonly #live = new Map<string, LiveHost>();
  /** What each was made from. A link never changes: there is another one. */
  readonly #links = new Map<string, HostLink>();

  /** @returns the one map of all passes, as it is to be for the one that begins now. */
  of(
    links: readonly HostLink[],
    acknowledged: (link: HostLink) => LiveHost['acknowledged'],
  ): ReadonlyMap<string, LiveHost> {
    for (const link of links) this.#follow(link, acknowledged(link));
    if (this.#live.size > links.length) this.#forgetOthers(links);
    return this.#live;
  }

  #follow(link: HostLink, acknowledged: LiveHost['acknowledged']): void {
    const { name } = link;
    if (this.#links.get(name) === link && this.#live.get(name)?.acknowledged === acknowledged) return;
    this.#links.set(name, link);
    this.#live.set(name, { ...link, acknowledged });
  }

  #forgetOthers(links: readonly HostLink[]): void {
    const names = new Set(links.map(({ name }) => name));
    for (const name of this.#live.keys()) {
      if (names.has(name)) continue;
      this.#live.delete(name);
      this.#links.delete(name);
    }
  }
}
