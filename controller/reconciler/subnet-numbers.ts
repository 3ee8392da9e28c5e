import { parseRange, SUBNET_ADDRESSES } from '../../agent/kit/addressing.ts';
import type { NetworkRecord } from '../model/records.ts';

/** Subnets of one application lie together, where there is room: so many, at a multiple of as many, are one prefix. */
const BLOCK = 8;
/** The last one is left for the backbone's VXLAN id. */
const MOST = 65_534;

/** How many subnets a range has, but for the last one, the backbone's. */
export const subnetsIn = (range: string): number =>
  Math.min(MOST, parseRange(range).size / SUBNET_ADDRESSES - 1);

/**
 * A number for one more subnet of an application, from 1 to `most`: the lowest of a block that is the application's own, or else of one
 * that is nobody's yet, or else the lowest of all.
 * @param held those that are nobody's, and that somebody may be reached by all the same. @returns null when none is left.
 */
export function freeNumber(
  app: string,
  networks: readonly NetworkRecord[],
  most: number,
  held: ReadonlySet<number> = new Set(),
): number | null {
  const taken = new Set<number>();
  /** Of a block, whose all of it is; null: several applications'. */
  const owners = new Map<number, string | null>();
  for (const { id, number } of networks) {
    taken.add(number);
    const owner = id.slice(0, id.indexOf('/'));
    const block = blockOf(number);
    owners.set(block, (owners.get(block) ?? owner) === owner && owners.get(block) !== null ? owner : null);
  }
  let lowest: number | null = null;
  let ofNobody: number | null = null;
  for (let number = 1; number <= most; number++) {
    if (taken.has(number) || held.has(number)) continue;
    const owner = owners.get(blockOf(number));
    if (owner === app) return number;
    lowest ??= number;
    if (owner === undefined) {
      ofNobody ??= number;
      // No block behind this one is the application's, or it would have been found at its first free number.
      if (![...owners].some(([block, other]) => other === app && block > blockOf(number))) break;
    }
  }
  return ofNobody ?? lowest;
}

const blockOf = (number: number): number => Math.floor((number - 1) / BLOCK);
