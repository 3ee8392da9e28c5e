import type { EncryptionStanding, FleetRecord, HostRecord } from '../model/records.ts';
import { derived } from './derived.ts';
import type { NetworkHost } from './network-host.ts';

interface HostEncryption {
  /** By which others encrypt what they send it; null: they cannot. */
  readonly publicKey: string | null;
  /** Why they cannot, or why what they send does not arrive for now. */
  readonly problem: string | null;
}

/** What hosts on an underlay say of their keys, by host. A key is one host's: one that two have protects neither from the other. */
export const encryptionOf = (hosts: readonly NetworkHost[]): ReadonlyMap<string, HostEncryption> =>
  derived(hosts, collect);

function collect(hosts: readonly NetworkHost[]): ReadonlyMap<string, HostEncryption> {
  const owners = new Map<string, string[]>();
  for (const { name, offer } of hosts) {
    const key = offer?.underlay?.encryption?.publicKey;
    if (key) owners.set(key, [...(owners.get(key) ?? []), name]);
  }
  return new Map(
    hosts.flatMap((host) => (host.offer?.underlay ? [[host.name, encryptionBy(host, owners)] as const] : [])),
  );
}

function encryptionBy(
  { name, offer }: NetworkHost,
  owners: ReadonlyMap<string, readonly string[]>,
): HostEncryption {
  const said = offer?.underlay?.encryption;
  if (said === undefined) return { publicKey: null, problem: 'its agent is older than that' };
  const { publicKey, problem } = said;
  if (publicKey === null) return { publicKey, problem: problem ?? 'it has no key' };
  const others = (owners.get(publicKey) ?? []).filter((owner) => owner !== name).sort();
  if (others.length === 0) return said;
  const remedy = "remove wireguard.key from its agent's state folder";
  return { publicKey: null, problem: `its key is that of ${others.join(', ')} too: ${remedy}` };
}

/** How a host stands to what the fleet asks for. @param said undefined: it is on no underlay. @returns null: nobody asks it. */
export function standingOf(
  { encrypt }: FleetRecord,
  said: HostEncryption | undefined,
): EncryptionStanding | null {
  if (encrypt === undefined || said === undefined) return null;
  const { publicKey, problem } = said;
  if (publicKey === null) return { state: encrypt === 'require' ? 'alone' : 'open', problem };
  return { state: problem === null ? 'encrypted' : 'broken', problem };
}

const UNTOLD = 'its agent has not yet heard of what was changed';

/** Whether others send to a host by tunnels, in the open, or not at all. */
function wayOf(standing: EncryptionStanding | null): 'sealed' | 'open' | 'none' {
  if (standing === null || standing.state === 'open') return 'open';
  return standing.state === 'alone' ? 'none' : 'sealed';
}

/**
 * What can be said of a host: others have changed their ways, and it goes on as it was until its agent has heard of it.
 * @param before what was said. @param isTold its agent has looked with its newest goal.
 */
export function knownStanding(
  before: EncryptionStanding | null,
  now: EncryptionStanding | null,
  isTold: boolean,
): EncryptionStanding | null {
  // What does not stand, or may not go, is said at once: it is no better before the agent hears of it.
  if (now?.state === 'alone' || now?.state === 'broken') return now;
  const isOtherwise = before?.state === 'untold' ? !isTold : wayOf(before) !== wayOf(now);
  return isOtherwise ? { state: 'untold', problem: UNTOLD } : now;
}

/** For people. Null: it encrypts, or is not asked to. */
export function describeStanding(standing: HostRecord['encryption']): string | null {
  switch (standing?.state) {
    case 'alone':
      return `it takes no VMs, and its guests reach those of no other host: all of that has to be encrypted, and ${standing.problem}`;
    case 'open':
      return `what goes between its guests and other hosts is not encrypted: ${standing.problem}`;
    case 'untold':
      return `its guests may reach those of no other host: ${standing.problem}`;
    case 'broken':
      return `its guests reach those of no other host: what goes there is to be encrypted, and ${standing.problem}`;
    default:
      return null;
  }
}
