import { asPrefix, overlap, range6Of } from '../../agent/kit/addressing.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { outOfReach } from '../reconciler/out-of-reach.ts';

/** Every host drops these, whatever else it is told. */
export const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'];

/**
 * Why guests do not reach an address of the world although what is declared lets them out. Null: nothing is in the way.
 * @param listed the prefixes that `outbound` names; none where it is all of the world.
 */
export function obstacleOf(
  address: string,
  guests: readonly VmRecord[],
  listed: readonly string[],
  world: NetworkWorld,
): string | null {
  const isIn = (prefix: string) => overlap(prefix, asPrefix(address));
  const all = [...world.hosts.values()];
  if (LINK_LOCAL.some(isIn)) return `${address} is link-local: no guest reaches it`;
  if ([world.fleet.range, range6Of(world.fleet.uuid)].some(isIn))
    return `${address} is of the fleet's own range: guests reach there what endpoints let them reach`;
  const owner = ownerOf(isIn, world.fleet, all);
  if (owner !== null) return `${address} is ${owner}: no guest reaches it`;
  return besideOf(isIn, address, hostsOf(guests, all), listed);
}

/** Of what no guest reaches: whose it is. A public address is on one host or another, and is told as what it is. */
function ownerOf(
  isIn: (prefix: string) => boolean,
  fleet: NetworkWorld['fleet'],
  hosts: readonly HostRecord[],
): string | null {
  const isAmong = (addresses: readonly string[]) => addresses.some((each) => isIn(asPrefix(each)));
  if (isAmong(outOfReach({ public: fleet.public ?? [] }, []))) return 'a public address of the fleet';
  for (const { name, offer } of hosts)
    if (isAmong([offer?.underlay?.address ?? [], offer?.underlay?.own ?? []].flat()))
      return `an address of ${name}`;
  if (isAmong(outOfReach({}, hosts))) return "a fence device's";
  return isAmong(fleet.devices ?? []) ? "the controller's, or a fence device's that it alone knows" : null;
}

/** What is on the links of the hosts themselves is reached where `outbound` names it. */
function besideOf(
  isIn: (prefix: string) => boolean,
  address: string,
  hosts: readonly HostRecord[],
  listed: readonly string[],
): string | null {
  const isNamed = listed.some((prefix) => !prefix.endsWith('/0') && isIn(prefix));
  for (const { name, offer } of hosts) {
    const closed = offer?.underlay?.closed?.find(isIn);
    if (closed !== undefined) return `${address} is on ${closed}, a network of ${name}'s own guests`;
    const beside = offer?.underlay?.networks.find(isIn);
    if (beside !== undefined && !isNamed)
      return `${address} is on ${beside}, which ${name} itself is on: outbound has to name it`;
  }
  return null;
}

/** Those that judge: where the guests are; any, while none has a place. */
function hostsOf(guests: readonly VmRecord[], all: readonly HostRecord[]): readonly HostRecord[] {
  const names = new Set(guests.flatMap(({ host }) => host ?? []));
  return names.size === 0 ? all : all.filter(({ name }) => names.has(name));
}
