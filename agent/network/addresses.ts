import { isIPv4, isIPv6 } from 'node:net';
import { addressAt, canonicalPrefix, overlap, parseRange, SERVICE_OFFSET } from '../kit/addressing.ts';

/** All 32 digits, so that a rule can compare it with raw bytes: `0xfd00…0001`. @param address IPv6, as the goal's schema lets it in. */
export const hexOf6 = (address: string): string => `0x${groupsOf6(address).join('')}`;

/** All 32 digits with colons, as the kernel lists connections. */
export const fullOf6 = (address: string): string => groupsOf6(address).join(':');

const groupsOf6 = (address: string): readonly string[] =>
  wordsOf6(address).map((word) => word.toString(16).padStart(4, '0'));

/** The same of a hardware address. */
export const hexOfMac = (mac: string): string => `0x${mac.replaceAll(':', '')}`;

/** As the kernel prints it: lower case, the longest row of zeros left out (RFC 5952). */
export const canonical6 = (address: string): string => {
  // The URL parser of the platform writes addresses that way.
  const { hostname } = new URL(`http://[${address}]/`);
  return hostname.slice(1, -1);
};

/** Its eight groups of 16 bits. */
export function wordsOf6(address: string): readonly number[] {
  const [head = '', tail] = canonical6(address).split('::');
  const words = (text: string) =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  if (tail === undefined) return words(head);
  const [before, after] = [words(head), words(tail)];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** The link-local address that an interface makes from its hardware address (EUI-64, RFC 4291 appendix A). */
export function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((part) => Number.parseInt(part, 16));
  const hex = (high: number, low: number) => ((high << 8) | low).toString(16);
  return canonical6(`fe80::${hex(a ^ 2, b)}:${hex(c, 0xff)}:${hex(0xfe, d)}:${hex(e, f)}`);
}

/** Those that are addresses or prefixes of one family, in the form that rules have them; what else there is never reaches a rule. */
export const prefixesOf = (texts: readonly string[], family: 4 | 6): readonly string[] =>
  texts
    .flatMap((text) => canonicalPrefix(text) ?? [])
    .filter((prefix) => prefix.includes(':') === (family === 6));

export const is4 = isIPv4;
export const is6 = isIPv6;

export const prefixLength = (cidr: string): number => Number(cidr.split('/')[1]);

/** Whether all of a prefix is in another one. */
export const liesIn = (prefix: string, other: string): boolean =>
  prefixLength(other) <= prefixLength(prefix) && overlap(other, prefix);

/** The first address of a range after its own: the backbone's is where guests' resolvers ask for the fleet's names. */
export const serviceAddress = (cidr: string): string => addressAt(parseRange(cidr).base + SERVICE_OFFSET);
