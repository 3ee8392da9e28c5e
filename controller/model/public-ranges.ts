/** Addresses of the underlay that applications are reached at: `192.0.2.200-192.0.2.219/24`, or one of them alone. */
export interface PublicRange {
  readonly first: number;
  readonly last: number;
  /** Of the link that the addresses are on. */
  readonly prefix: number;
}

const PATTERN = /^(\d{1,3}(?:\.\d{1,3}){3})(?:-(\d{1,3}(?:\.\d{1,3}){3}))?\/(\d{1,2})$/;

/** Null: it is none, or its ends are not on one link. */
export function parsePublicRange(text: string): PublicRange | null {
  const [, from = '', to = from, length = ''] = PATTERN.exec(text) ?? [];
  const [first, last, prefix] = [numberOf(from), numberOf(to), Number(length)];
  if (first === null || last === null || first > last || prefix < 1 || prefix > 32) return null;
  const size = 2 ** (32 - prefix);
  return Math.floor(first / size) === Math.floor(last / size) ? { first, last, prefix } : null;
}

export const formatPublicAddress = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');

export function isInRange({ first, last }: PublicRange, address: string): boolean {
  const value = numberOf(address);
  return value !== null && value >= first && value <= last;
}

function numberOf(address: string): number | null {
  const bytes = address.split('.').map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !Number.isInteger(byte) || byte > 255)) return null;
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}
