import { readFile } from 'node:fs/promises';

const FILE = '/proc/net/if_inet6';
/** Of a link-local address, as the kernel prints it. */
const LINK = '20';

/** Name → number of the interfaces that have a link-local address. A kernel without IPv6 has none. */
export const linkLocalInterfaces = async (): Promise<ReadonlyMap<string, number>> =>
  parseInterfaces6(await readFile(FILE, 'utf8').catch(() => ''));

/** Columns: address, number, length of its prefix, scope, flags, all in hex, and the name (net/ipv6/addrconf.c). */
export function parseInterfaces6(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, number, , scope, , name] = line.trim().split(/\s+/);
      return scope === LINK && number && name ? [[name, Number.parseInt(number, 16)] as const] : [];
    }),
  );
}
