import { isIP } from 'node:net';
import type { Listener } from './knot-configuration.ts';

/** Of DNS; guests' resolvers know no other. */
export const NAMES_PORT = 53;
const FORM = /^(?:(?<v4>[0-9.]+)|\[(?<v6>[0-9a-fA-F:.]+)\])(?::(?<port>[1-9][0-9]{0,4}))?$/;
/** Of every host, and so of none: others' name servers would have no port left. */
const ANY = /^(0\.0\.0\.0|[0:]+)$/;

/** @returns null for what is no address of one host's, with a port or without. */
export function parseListener(text: string): Listener | null {
  const {
    v4,
    v6,
    port = String(NAMES_PORT),
  } = FORM.exec(isIP(text) === 6 ? `[${text}]` : text)?.groups ?? {};
  const address = v4 ?? v6 ?? '';
  const number = Number(port);
  return isIP(address) !== 0 && !ANY.test(address) && number <= 65_535 ? { address, port: number } : null;
}
