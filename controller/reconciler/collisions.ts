import { asPrefix, overlap } from '../../agent/kit/addressing.ts';
import type { NetworkHost } from './network-host.ts';

/** Its own networks and addresses, and how it reaches its controller and its fence devices, as its agent tells them. */
const surroundings = ({ offer }: NetworkHost): readonly (readonly [what: string, prefix: string])[] => [
  ...(offer?.underlay?.networks ?? []).map((each) => [`its network ${each}`, each] as const),
  ...(offer?.underlay?.own ?? []).map(
    (each) => [`${each}, an address of its own, its controller or a fence device,`, asPrefix(each)] as const,
  ),
];

/** What was found of an offer, which never changes, beside ranges: those of the fleet and those of its backbone, one after the other. */
const known = new WeakMap<object, Map<string, string | null>>();

/** What of a host is in ranges of the fleet's, so that guests would be in its way; null: nothing is. */
export function collisionWith(host: NetworkHost, ranges: readonly string[]): string | null {
  if (!host.offer) return null;
  const beside = ranges.join();
  const found = known.get(host.offer) ?? new Map<string, string | null>();
  const before = found.get(beside);
  if (before !== undefined) return before;
  const collision = findCollision(host, ranges);
  known.set(host.offer, found.set(beside, collision));
  return collision;
}

function findCollision(host: NetworkHost, ranges: readonly string[]): string | null {
  for (const [what, prefix] of surroundings(host))
    for (const range of ranges)
      if (overlap(prefix, range)) return `${what} overlaps ${range}, which is the fleet's for guests`;
  return null;
}

export const isColliding = (host: NetworkHost | undefined): boolean => (host?.collision ?? null) !== null;
