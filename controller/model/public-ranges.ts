import {
  bitsOf,
  type Family,
  familyOf,
  formatAddress,
  overlap,
  widthOf,
} from '../../agent/kit/addressing.ts';

/** Addresses of the underlay that the world comes to: `192.0.2.200-192.0.2.219/24`, `2001:db8::200-2001:db8::2ff/64`, or one of them alone. */
export interface PublicRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
  /** Of the link that the addresses are on. */
  readonly prefix: number;
}

const PATTERN = /^([0-9a-fA-F.:]+)(?:-([0-9a-fA-F.:]+))?\/([1-9]\d{0,2})$/;
/** Link-local addresses and those of groups are no host's to be reached at. */
const NOT_PUBLIC6 = ['fe80::/10', 'ff00::/8'];

/** Null: it is none, or its ends are not on one link. */
export function parsePublicRange(text: string): PublicRange | null {
  const [, from = '', to = from, length = ''] = PATTERN.exec(text) ?? [];
  const family = familyOf(from);
  const prefix = Number(length);
  if (family === null || familyOf(to) !== family || prefix < 1 || prefix > widthOf(family)) return null;
  const [first, last] = [bitsOf(from), bitsOf(to)];
  if (first > last || NOT_PUBLIC6.some((each) => overlap(each, `${from}/128`))) return null;
  const shift = BigInt(widthOf(family) - prefix);
  return first >> shift === last >> shift ? { family, first, last, prefix } : null;
}

/** What a range is made of: single addresses, and prefixes. */
export function prefixesOf({ family, first, last }: PublicRange): readonly string[] {
  const width = BigInt(widthOf(family));
  const prefixes: string[] = [];
  for (let next = first; next <= last; ) {
    let free = 0n;
    // As wide as may begin there, and no wider than what is left.
    while (free < width && isWhole(next, free + 1n) && next + (1n << (free + 1n)) - 1n <= last) free++;
    const address = formatAddress(family, next);
    prefixes.push(free === 0n ? address : `${address}/${width - free}`);
    next += 1n << free;
  }
  return prefixes;
}

const isWhole = (first: bigint, free: bigint): boolean => (first >> free) << free === first;

export const isInRange = ({ family, first, last }: PublicRange, address: string): boolean =>
  familyOf(address) === family && first <= bitsOf(address) && bitsOf(address) <= last;
