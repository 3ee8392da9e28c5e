import type { FleetRecord, HostRecord } from '../model/records.ts';
import { derived } from './derived.ts';

/** Host on an underlay → by which key others encrypt what they send it, or why they cannot. One of the two is null. */
export type Encryption = ReadonlyMap<
  string,
  { readonly publicKey: string | null; readonly problem: string | null }
>;

/** What hosts say of their keys. A key is one host's: one that two have protects neither from the other. */
export const encryptionOf = (hosts: readonly HostRecord[]): Encryption => derived(hosts, collect);

function collect(hosts: readonly HostRecord[]): Encryption {
  const owners = new Map<string, string[]>();
  for (const { name, offer } of hosts) {
    const key = offer?.underlay?.encryption?.publicKey;
    if (key) owners.set(key, [...(owners.get(key) ?? []), name]);
  }
  return new Map(
    hosts.flatMap(({ name, offer }) => {
      if (!offer?.underlay) return [];
      const said = offer.underlay.encryption;
      const key = said?.publicKey ?? null;
      const others = key === null ? [] : (owners.get(key) ?? []).filter((owner) => owner !== name);
      const problem =
        said === undefined
          ? 'its agent is older than that'
          : others.length > 0
            ? `its key is that of ${others.sort().join(', ')} too: remove wireguard.key from its agent's state folder`
            : (said.problem ?? (key === null ? 'it has no key' : null));
      return [[name, problem === null ? { publicKey: key, problem } : { publicKey: null, problem }] as const];
    }),
  );
}

/** How a host stands to what the fleet asks for; null: it asks for nothing, or the host is on no underlay. */
export function standingOf(
  { encrypt }: FleetRecord,
  host: string,
  encryption: Encryption,
): NonNullable<HostRecord['encryption']> | null {
  const own = encryption.get(host);
  if (encrypt === undefined || own === undefined) return null;
  return { problem: own.problem, isAlone: encrypt === 'require' && own.problem !== null };
}

/** For people. Null: it encrypts, or is not asked to. */
export function describeStanding(standing: HostRecord['encryption']): string | null {
  if (!standing || standing.problem === null) return null;
  return standing.isAlone
    ? `it takes no VMs, and its guests reach those of no other host: all of that has to be encrypted, and ${standing.problem}`
    : `what goes between its guests and other hosts is not encrypted: ${standing.problem}`;
}
