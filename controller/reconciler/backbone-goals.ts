import {
  address6At,
  addressAt,
  backboneCidr,
  backboneVni,
  macOf,
  parseRange,
  range6Of,
  subnet6Of,
} from '../../agent/kit/addressing.ts';
import type { BackboneGoal, RouterGoal, RouterOf } from '../../agent/protocol/index.ts';
import type { FleetRecord, HostRecord } from '../model/records.ts';
import { collisionWith } from './collisions.ts';
import { derived } from './derived.ts';
import { edgeHosts, edgePart } from './edge-hosts.ts';
import { listOf } from './listed-map.ts';
import type { NetworkWorld } from './network-world.ts';
import { outOfReach, outOfReachPart } from './out-of-reach.ts';

/** IANA's port of VXLAN. */
const VXLAN_PORT = 4789;
/** What VXLAN adds over an underlay of IPv4 and of IPv6: outer headers, and the inner frame's. */
const OVERHEAD = { v4: 50, v6: 70 };
const ETHERNET_MTU = 1_500;
/** IPv6 carries no less. */
const LEAST_MTU = 1_280;

interface Backbone {
  readonly shared: Omit<BackboneGoal, 'self' | 'others'>;
  readonly routers: readonly RouterOf[];
}

/** A host's place on the backbone. Undefined: it has none, for nobody knows where it is on the underlay. */
export function backboneGoalOf(host: string, { fleet, hosts }: NetworkWorld): BackboneGoal | undefined {
  const { shared, routers } = derived(listOf(hosts), backboneOf(fleet));
  const self = routers.find((router) => router.host === host);
  if (!self) return undefined;
  return { ...shared, self, others: routers.filter((router) => router !== self) };
}

/** What guests never reach, of a host that has no place on the backbone: the same as everybody's. */
export function closedAddresses({ fleet, hosts }: NetworkWorld): NonNullable<RouterGoal['closed']> {
  const { shared, routers } = derived(listOf(hosts), backboneOf(fleet));
  const { range, range6, outOfReach: closed = [] } = shared;
  return {
    ...{ range, range6 },
    outOfReach: [...new Set([...closed, ...routers.map(({ underlay }) => underlay)])].sort(),
  };
}

/** Fleet → how its backbone is made from its hosts: one function for each, by which the answer is remembered. */
const makers = new WeakMap<FleetRecord, (hosts: readonly HostRecord[]) => Backbone>();

function backboneOf(fleet: FleetRecord): (hosts: readonly HostRecord[]) => Backbone {
  const known = makers.get(fleet) ?? ((hosts: readonly HostRecord[]) => makeBackbone(fleet, hosts));
  makers.set(fleet, known);
  return known;
}

function makeBackbone(fleet: FleetRecord, hosts: readonly HostRecord[]): Backbone {
  const { uuid, range } = fleet;
  const cidr = backboneCidr(range);
  const cidr6 = subnet6Of(uuid, 0);
  const edges = edgeHosts(hosts);
  const routers = hosts
    .flatMap((host): readonly RouterOf[] => {
      const { name, number, offer } = host;
      if (number === undefined || !offer?.underlay) return [];
      // Its device would take away what the host lives by; where something else collides, guests that it has go on.
      if (collisionWith(host, [cidr, cidr6]) !== null) return [];
      const address = addressAt(parseRange(cidr).base + number);
      return [
        {
          ...{ host: name, underlay: offer.underlay.address },
          ...{ address, address6: address6At(cidr6, number), mac: macOf(address) },
          edge: edges.has(name),
        },
      ];
    })
    .sort((one, other) => (one.host < other.host ? -1 : 1));
  const mtu = mtuOf(hosts);
  const ranges = { range, range6: range6Of(uuid), cidr, cidr6 };
  const closed = outOfReach(fleet, hosts);
  const never = closed.length > 0 ? { outOfReach: [...closed] } : {};
  return { shared: { vni: backboneVni(uuid), port: VXLAN_PORT, mtu, ...ranges, ...never }, routers };
}

/** All hosts' guests have the same: what one sends must reach any other in one piece. */
function mtuOf(hosts: readonly HostRecord[]): number {
  const underlays = hosts.flatMap(({ number, offer }) =>
    number !== undefined && offer?.underlay ? [offer.underlay] : [],
  );
  const overhead = underlays.some(({ address }) => address.includes(':')) ? OVERHEAD.v6 : OVERHEAD.v4;
  const least = underlays.reduce((mtu, each) => Math.min(mtu, each.mtu), Number.POSITIVE_INFINITY);
  return Math.max(LEAST_MTU, (Number.isFinite(least) ? least : ETHERNET_MTU) - overhead);
}

/** What of a host's record is in all hosts' backbones. */
export const routerPart = (host: HostRecord | undefined): unknown => [
  ...[host?.number, host?.offer?.underlay?.address, host?.offer?.underlay?.mtu],
  host?.offer?.underlay?.networks,
  edgePart(host),
  outOfReachPart(host),
];
