import { is6, liesIn, prefixLength } from './addresses.ts';

/** As many of each as a controller takes of a host. */
const MOST_NETWORKS = 64;
export const MOST_ADDRESSES = 1_024;

/** The smallest ranges of guests that a fleet has: wider networks may have one of them in it. */
const LEAST_RANGE = { 4: 20, 6: 48 };

/**
 * What of a host's networks its controller is told, for a host of containers may have hundreds. What lies in another one of them is told with
 * that; then those of its underlay come first, and the widest ones: they may have a range of guests in them, which nothing else says. One that
 * lies in a range itself is known by the host's own address there as well.
 * @param networks prefixes. @param first those of the underlay.
 */
export function toldNetworks(networks: readonly string[], first: readonly string[] = []): string[] {
  const told = [...new Set(first)].slice(0, MOST_NETWORKS);
  const byWidth = [...new Set(networks)].sort(
    (one, other) => widthOf(one) - widthOf(other) || compare(one, other),
  );
  for (const network of byWidth) {
    if (told.length === MOST_NETWORKS) break;
    if (!told.some((other) => liesIn(network, other))) told.push(network);
  }
  return told.sort();
}

/** By how many bits it is narrower than a range of guests. */
const widthOf = (network: string): number =>
  prefixLength(network) - LEAST_RANGE[is6(network.split('/')[0] ?? '') ? 6 : 4];

const compare = (one: string, other: string): number => (one < other ? -1 : 1);
