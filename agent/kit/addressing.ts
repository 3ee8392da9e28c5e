import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** Addresses of a fleet: what of them is derived is derived here, for both ends. */

/** Addresses in a subnet of a role, a /22. */
export const SUBNET_ADDRESSES = 1024;
/** In the backbone's subnets: where the fleet's name servers are reached, wherever they are. */
export const SERVICE_OFFSET = 1;
/** What is left of a VNI below the fleet's byte; no subnet has this number. */
const BACKBONE_VNI = 0xffff;

export interface Range {
  /** The first address as a number. */
  readonly base: number;
  readonly size: number;
}

/** @param cidr IPv4. */
export function parseRange(cidr: string): Range {
  const [address = '', prefix = '32'] = cidr.split('/');
  return { base: numberOf(address), size: 2 ** (32 - Number(prefix)) };
}

export const numberOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

export const addressAt = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');

export type Family = 4 | 6;

/** Null: it is no address, or one of a link that has to be named. */
export const familyOf = (address: string): Family | null =>
  isIPv4(address) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : null;

/** As it stands before a port, and in a URL: one of IPv6 in brackets. */
export const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** An address as the prefix of it alone; a prefix stays what it is. */
export const asPrefix = (text: string): string =>
  text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;

export const widthOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

/** An address as a number. @param address a valid one. */
export const bitsOf = (address: string): bigint =>
  isIPv4(address) ? BigInt(numberOf(address)) : bits6(address);

/** As the kernel writes it (RFC 5952). */
export function formatAddress(family: Family, value: bigint): string {
  if (family === 4) return addressAt(Number(value));
  const groups = value.toString(16).padStart(32, '0').match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}

/** The fleet's ULA /48 (RFC 4193): `fd` and the first 40 bits of its UUID. */
export function range6Of(fleet: string): string {
  const digits = `fd${fleet.replaceAll('-', '').slice(0, 10)}`;
  return `${groups(digits).join(':')}::/48`;
}

/** The /64 of a subnet by its number; 0 is the backbone's. */
export function subnet6Of(fleet: string, number: number): string {
  const digits = `fd${fleet.replaceAll('-', '').slice(0, 10)}${number.toString(16).padStart(4, '0')}`;
  return `${groups(digits).join(':')}::/64`;
}

/** As the kernel writes them (RFC 5952): without leading zeros, and with all zeros at the end in the `::` that follows. */
const groups = (digits: string): string[] =>
  (digits.replace(/(0000)+$/, '').match(/.{4}/g) ?? []).map((group) =>
    Number.parseInt(group, 16).toString(16),
  );

/** The address of an IPv6 /64 that is so far into it. */
export const address6At = (subnet6: string, offset: number): string =>
  `${subnet6.slice(0, subnet6.indexOf('::'))}::${offset.toString(16)}`;

/** A guest's IPv6 address: as far into its subnet's /64 as its IPv4 address is into the /22. */
export const guestAddress6 = (fleet: string, number: number, cidr: string, address: string): string =>
  address6At(subnet6Of(fleet, number), numberOf(address) - parseRange(cidr).base);

/** The routers' subnet: the last /22 of the fleet's range. */
export function backboneCidr(range: string): string {
  const { base, size } = parseRange(range);
  return `${addressAt(base + size - SUBNET_ADDRESSES)}/22`;
}

/** VXLAN id of a subnet. Fleets that share an underlay differ in the first byte of their UUID, most of them. */
export const vniOf = (fleet: string, number: number): number =>
  Number.parseInt(fleet.slice(0, 2), 16) * 65_536 + number;

export const backboneVni = (fleet: string): number => vniOf(fleet, BACKBONE_VNI);

/** Locally administered, QEMU's prefix, then the address: unique wherever the address is. */
export function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['52', '54', ...bytes].join(':');
}

interface Prefix {
  readonly bits: bigint;
  readonly width: 32 | 128;
  readonly length: number;
}

/** @returns null for what is no prefix in CIDR form. */
function parsePrefix(cidr: string): Prefix | null {
  const [address = '', length = '', ...more] = cidr.split('/');
  const width = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : null;
  if (width === null || more.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > width) return null;
  const bits = width === 32 ? BigInt(numberOf(address)) : bits6(address);
  return { bits, width, length: Number(length) };
}

/** @param address a valid IPv6 address. */
function bits6(address: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const text = dotted
    ? `${dotted[1]}${Math.floor(numberOf(dotted[2] ?? '') / 65_536).toString(16)}:${(numberOf(dotted[2] ?? '') % 65_536).toString(16)}`
    : address;
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

/** Bits of the address behind the prefix's length. */
const hostBits = ({ bits, width, length }: Prefix): bigint => bits & ((1n << BigInt(width - length)) - 1n);

/** Many programs read a number that begins with 0 as octal, nft among them. */
const OCTAL = /\/0\d/;

/** What is wrong with a prefix such as 10.1.0.0/16 or fd00::/8; null: nothing is. */
export function prefixProblem(cidr: string): string | null {
  const prefix = parsePrefix(cidr);
  if (!prefix) return 'must be a network such as 10.1.0.0/16 or 2001:db8::/32';
  if (OCTAL.test(cidr)) return 'has a prefix length that begins with 0, which could be octal';
  return hostBits(prefix) === 0n ? null : `has bits set behind its prefix length /${prefix.length}`;
}

/** The prefix that is meant where something is wrong with one; null: nothing is, or it is no prefix. */
export const prefixMeant = (cidr: string): string | null =>
  parsePrefix(cidr) && prefixProblem(cidr) !== null ? canonicalPrefix(cidr) : null;

/** A prefix, or an address, in the one form that all programs read alike: its length in decimal, no bits set behind it. Null: it is neither. */
export function canonicalPrefix(text: string): string | null {
  const family = familyOf(text);
  if (family !== null) return formatAddress(family, bitsOf(text));
  const prefix = parsePrefix(text);
  if (!prefix) return null;
  return `${formatAddress(prefix.width === 32 ? 4 : 6, prefix.bits - hostBits(prefix))}/${prefix.length}`;
}

/** Whether two prefixes have an address in common. What is no prefix overlaps nothing; bits behind the length are of no account. */
export function overlap(one: string, other: string): boolean {
  const [first, second] = [parsePrefix(one), parsePrefix(other)];
  if (!first || !second || first.width !== second.width) return false;
  const shift = BigInt(first.width - Math.min(first.length, second.length));
  return first.bits >> shift === second.bits >> shift;
}
