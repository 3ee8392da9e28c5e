import { Resolver } from 'node:dns/promises';
import { isIPv6 } from 'node:net';

export interface Asked {
  readonly address: string;
  readonly port: number;
}

/**
 * Serial of a zone, as a name server there says (SOA, RFC 1035).
 * @param timeoutMs of the first try. @throws what the resolver says, where it does not answer, or knows no such zone.
 */
export async function askSerial(
  zone: string,
  { address, port }: Asked,
  { timeoutMs, tries }: { readonly timeoutMs: number; readonly tries: number },
): Promise<number> {
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  resolver.setServers([isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`]);
  return (await resolver.resolveSoa(zone)).serial;
}
