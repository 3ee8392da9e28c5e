import { isIP } from 'node:net';

/** Where this host lets in what comes from other hosts' agents. */
export interface ListenSetting {
  /** Null: the one by which this host reaches its controller. */
  readonly address: string | null;
  /** The first port that is free is taken. */
  readonly ports: { readonly first: number; readonly last: number };
}

const FORM = /^(?:(?<address>[^[\]]+|\[[^[\]]+\]):)?(?<first>[1-9][0-9]{0,4})(?:-(?<last>[1-9][0-9]{0,4}))?$/;

/**
 * `off`, or ports with or without an address: `7702-7709`, `192.0.2.7:7702`, `[2001:db8::7]:7702-7709`.
 * @returns null for `off`, undefined for what has not that form.
 */
export function parseListen(text: string): ListenSetting | null | undefined {
  if (text === 'off') return null;
  const { address, first, last = first } = FORM.exec(text)?.groups ?? {};
  const plain = address?.replace(/^\[|\]$/g, '');
  const ports = { first: Number(first), last: Number(last) };
  if (!(ports.first <= ports.last && ports.last <= 65_535)) return undefined;
  if (plain !== undefined && !isReachable(plain)) return undefined;
  return { address: plain ?? null, ports };
}

/**
 * The address to listen on, and to be told to others; null: there is none that others could reach.
 * @param own that of this host's end of its connection to the controller; null: there is none.
 */
export function addressToListenOn({ address }: ListenSetting, own: string | null): string | null {
  if (address !== null) return address;
  const plain = own?.replace(/^::ffff:(?=\d+\.)/, '') ?? '';
  return isReachable(plain) ? plain : null;
}

/** Every host has these of its own: another one would find itself there. */
const OF_EVERY_HOST = /^(127\.|0\.0\.0\.0$|::1?$|fe80:)/i;

const isReachable = (address: string) =>
  isIP(address) !== 0 && !address.includes('%') && !OF_EVERY_HOST.test(address);
