import { addressAt, backboneCidr, guestAddress6, parseRange } from '../../agent/kit/addressing.ts';
import type { NamesGoal, RouterGoal } from '../../agent/protocol/index.ts';
import { listAddresses } from '../model/public-address.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import { zoneOf } from '../model/zone.ts';
import { edgePart, isAway, leavingEdges } from './edge-hosts.ts';
import { listOf } from './listed-map.ts';
import { namesOf } from './name-records.ts';
import { edgeHostsOf, type NetworkWorld } from './network-world.ts';

/** The zone that a host serves. Undefined: it serves none, or there is no name yet. */
export function namesGoalOf(host: string, world: NetworkWorld): NamesGoal | undefined {
  if (!edgeHostsOf(world).has(host)) return undefined;
  const zone = zoneFor(world);
  return zone.records.length === 0 ? undefined : zone;
}

/**
 * Where a host's guests ask for names of the fleet: itself first, where it serves them, then others, behind them hosts that are emptied, then those
 * whose name servers do not answer, as they say, and last the hosts that are away. What surely is no name server is none, unless there is no other. One that is only suspect
 * keeps its turn: it is most often an agent that starts anew, whose name server has all there is, and all hosts would be told of it twice. The zone is told also while nobody serves it, for a guest's resolver learns it once, when its network is made.
 */
export function resolverOf(host: string, world: NetworkWorld): RouterGoal['resolver'] {
  const all = nameServers(world);
  const leaving = leavingEdges(all);
  const rank = (other: HostRecord) => {
    if (isAway(other)) return 4;
    if (other.nameServer) return 3;
    if (leaving.has(other.name)) return 2;
    return other.name === host ? 0 : 1;
  };
  const able = all.filter(({ nameServer }) => nameServer !== 'absent');
  const servers = [...(able.length > 0 ? able : all)]
    .sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
    .flatMap(({ number }) => (number === undefined ? [] : [routerAddress(world.fleet.range, number)]));
  return { zone: zoneOf(world.fleet), servers };
}

/** What of a host's record is in what all hosts' guests ask, and in the zone itself. */
export const namesPart = (host: HostRecord | undefined): unknown =>
  host?.offer?.edge === true
    ? [edgePart(host), host.number, host.offer.underlay?.address, host.nameServer ?? null]
    : null;

const nameServers = (world: NetworkWorld): HostRecord[] =>
  [...edgeHostsOf(world)].flatMap((name) => world.hosts.get(name) ?? []);

const routerAddress = (range: string, number: number): string =>
  addressAt(parseRange(backboneCidr(range)).base + number);

interface Zone {
  readonly madeFrom: readonly unknown[];
  readonly names: NamesGoal;
}
/** The last zone made from each list of VMs: all name servers have the same. */
const zones = new WeakMap<object, Zone>();

/** The zone as every name server of the fleet has it. */
export function zoneFor(world: NetworkWorld): NamesGoal {
  const { fleet, applications, networks, hosts, vms } = world;
  const all = listOf(vms);
  const madeFrom = [fleet, listOf(applications), listOf(networks), listOf(hosts)];
  const known = zones.get(all);
  if (known?.madeFrom.every((each, index) => each === madeFrom[index])) return known.names;
  const published = publicAddresses(world);
  const names = namesOf(zoneOf(fleet), applications.values(), all, {
    ofVm: (vm) => addressesOf(vm, world),
    ofPublished: (shared) => (shared ? listAddresses(shared) : published),
  });
  zones.set(all, { madeFrom, names });
  return names;
}

/** IPv4 first. */
export function addressesOf(
  { networkId, address }: Pick<VmRecord, 'networkId' | 'address'>,
  {
    networks,
    fleet,
  }: Pick<NetworkWorld, 'fleet'> & { readonly networks: Pick<NetworkWorld['networks'], 'get'> },
): readonly string[] {
  const network = networks.get(networkId);
  return network ? [address, guestAddress6(fleet.uuid, network.number, network.cidr, address)] : [address];
}

/** Where endpoints are served that have no shared address: at the edge hosts themselves, as far as they are there. */
function publicAddresses(world: NetworkWorld): readonly string[] {
  const all = nameServers(world);
  const leaving = leavingEdges(all);
  const present = all.filter((host) => !isAway(host) && !leaving.has(host.name));
  return (present.length > 0 ? present : all).flatMap(({ offer }) => offer?.underlay?.address ?? []).sort();
}
