import { asPrefix, overlap } from '../kit/addressing.ts';
import { canonical6 } from './addresses.ts';
import type { ObservedLink } from './links-observed.ts';
import { isRouting, type RouterPart } from './router-part.ts';

/** A route to nowhere, for all that no other route is for. */
export interface UnreachableRoute {
  readonly to: string;
  readonly metric: number;
}

/** Behind whatever somebody else has for the same prefix; what is added to it is the fleet's own, so that each knows its own. */
const LEAST_METRIC = 4_000_000_000;

export const unreachableMetric = (prefix: string): number => LEAST_METRIC + Number.parseInt(prefix, 16);

/**
 * What is for a guest that nobody knows any more stays here, and whoever sent it hears at once; without this it would go to this host's own
 * gateway. Guests' addresses in CIDR form; empty where this host routes for none.
 */
export function unreachableRanges(part: RouterPart): readonly string[] {
  if (!isRouting(part)) return [];
  const { range, range6 } = part.backbone ?? part.router?.closed ?? {};
  return [...(range === undefined ? [] : [range]), ...(range6 === undefined ? [] : [prefix6(range6)])];
}

const prefix6 = (cidr: string): string => {
  const [address = '', length = ''] = cidr.split('/');
  return `${canonical6(address)}/${length}`;
};

/**
 * Those that can be made here: in none of the others this host, its controller or a device has an address, which it may reach by a wider route.
 * @param isOurs of the fleet, by the name of a link. @param near addresses and prefixes that this host has to reach.
 */
export function possibleRanges(
  ranges: readonly string[],
  links: readonly ObservedLink[],
  isOurs: (name: string) => boolean,
  near: readonly string[],
): readonly string[] {
  const own = links.filter(({ ifname }) => !isOurs(ifname)).flatMap(({ addr_info: all }) => all);
  const taken = [
    ...own.flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [prefixlen === undefined ? asPrefix(local) : `${local}/${prefixlen}`],
    ),
    ...near.map(asPrefix),
  ];
  return ranges.filter((range) => !taken.some((each) => overlap(each, range)));
}
