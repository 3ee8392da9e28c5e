import type { HostLink } from '../fleet/contract.ts';
import type { LiveHost } from './world.ts';

/** Hosts as they are heard now, made from their links. What stays the same from one pass to the next is the same object. */
export class LiveHosts {
  /** What the last pass knew of each host. A link never changes: there is another one. */
  readonly #known = new Map<string, { readonly link: HostLink; readonly live: LiveHost }>();

  of(
    links: readonly HostLink[],
    acknowledged: (link: HostLink) => LiveHost['acknowledged'],
  ): ReadonlyMap<string, LiveHost> {
    return new Map(links.map((link) => [link.name, this.#one(link, acknowledged(link))]));
  }

  #one(link: HostLink, acknowledged: LiveHost['acknowledged']): LiveHost {
    const known = this.#known.get(link.name);
    if (known?.link === link && known.live.acknowledged === acknowledged) return known.live;
    const live = { ...link, acknowledged };
    this.#known.set(link.name, { link, live });
    return live;
  }
}
