import { bitsOf, type Family, familyOf, overlap, widthOf } from '../../agent/kit/addressing.ts';

/** Addresses of the underlay that the world comes to: `192.0.2.200-192.0.2.219/24`, `2001:db8::200-2001:db8::2ff/64`, or one of them alone. */
export interface PublicRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
  /** Of the link that the addresses are on. */
  readonly prefix: number;
}

const PATTERN = /^([0-9a-fA-F.:]+)(?:-([0-9a-fA-F.:]+))?\/(\d{1,3})$/;
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

export const isInRange = ({ family, first, last }: PublicRange, address: string): boolean =>
  familyOf(address) === family && first <= bitsOf(address) && bitsOf(address) <= last;
