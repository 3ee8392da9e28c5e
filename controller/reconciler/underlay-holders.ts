import type { HostRecord } from '../model/records.ts';
import type { NetworkHost } from './network-host.ts';

const addressOf = (host: NetworkHost | undefined): string | undefined => host?.offer?.underlay?.address;

/**
 * Hosts that others send to: of those that say that they are at one address, which one network gives out again, the one that is up, and that
 * joined last. A router that had two of them at one place would refuse all of its rules.
 */
export function underlayHolders(hosts: readonly NetworkHost[]): ReadonlySet<string> {
  const holders = new Map<string, NetworkHost>();
  for (const host of hosts) {
    const address = addressOf(host);
    if (address === undefined || host.number === undefined) continue;
    const other = holders.get(address);
    if (!other || isBefore(host, other)) holders.set(address, host);
  }
  return new Set([...holders.values()].map(({ name }) => name));
}

const isUp = ({ state }: NetworkHost): boolean => state === 'up';

function isBefore(one: NetworkHost, other: NetworkHost): boolean {
  if (isUp(one) !== isUp(other)) return isUp(one);
  if (one.joinedAtMs !== other.joinedAtMs) return one.joinedAtMs > other.joinedAtMs;
  return one.name < other.name;
}

/** Whether a change of a host's state may give its address to another one that claims it, or take it. */
export function isRival(
  before: HostRecord | undefined,
  after: HostRecord | undefined,
  all: Iterable<HostRecord>,
): boolean {
  const part = (host: HostRecord | undefined) => host && `${isUp(host)} ${host.joinedAtMs}`;
  if (part(before) === part(after)) return false;
  const addresses = new Set([addressOf(before), addressOf(after)]);
  addresses.delete(undefined);
  const name = (after ?? before)?.name;
  return [...all].some((host) => host.name !== name && addresses.has(addressOf(host)));
}
