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
import { encryptionOf } from './encryption.ts';
import { type NetworkHost, networkHosts } from './network-host.ts';
import type { NetworkWorld } from './network-world.ts';
import { ofFleet } from './of-fleet.ts';
import { outOfReach, outOfReachPart } from './out-of-reach.ts';
import { underlayHolders } from './underlay-holders.ts';

/** IANA's port of VXLAN. */
const VXLAN_PORT = 4789;
/** What VXLAN adds over an underlay of IPv4 and of IPv6: outer headers, and the inner frame's. */
const OVERHEAD = { v4: 50, v6: 70 };
/** What WireGuard adds below that: outer headers, and 32 bytes of its own. */
const TUNNEL_OVERHEAD = { v4: 60, v6: 80 };
/** Of WireGuard: the one after what it is mostly used with. */
const TUNNEL_PORT = 51_821;
const ETHERNET_MTU = 1_500;
/** IPv6 carries no less. */
const LEAST_MTU = 1_280;

interface Backbone {
  readonly shared: Omit<BackboneGoal, 'self' | 'others' | 'tunnel'>;
  readonly routers: readonly RouterOf[];
  /** Names of the hosts that others send to. */
  readonly holders: ReadonlySet<string>;
  readonly tunnel: NonNullable<BackboneGoal['tunnel']>;
  /** The same routers with their keys, of hosts that encrypt. */
  readonly sealed: ReadonlyMap<string, RouterOf>;
  /** Host → its place, as far as somebody has asked. */
  readonly places: Map<string, BackboneGoal | undefined>;
}

/** A host's place on the backbone. Undefined: it has none, for nobody knows where it is on the underlay. */
export function backboneGoalOf(host: string, { fleet, hosts }: NetworkWorld): BackboneGoal | undefined {
  const backbone = derived(networkHosts(hosts), backboneOf(fleet));
  const { places } = backbone;
  if (!places.has(host)) places.set(host, placeOn(backbone, host, fleet));
  return places.get(host);
}

function placeOn(
  { shared, routers, holders, tunnel, sealed }: Backbone,
  host: string,
  fleet: FleetRecord,
): BackboneGoal | undefined {
  const self = routers.find((router) => router.host === host);
  if (!self) return undefined;
  const others = routers.filter((router) => router !== self && holders.has(router.host));
  // What must not go unencrypted goes nowhere: a host that cannot encrypt has its rules, and no others.
  if (!sealed.has(host)) return { ...shared, self, others: fleet.encrypt === 'require' ? [] : others };
  return {
    ...{ ...shared, tunnel, self },
    others: others.flatMap(
      (router) => sealed.get(router.host) ?? (fleet.encrypt === 'require' ? [] : router),
    ),
  };
}

/** What guests never reach, of a host that has no place on the backbone: the same as everybody's. */
export function closedAddresses({ fleet, hosts }: NetworkWorld): NonNullable<RouterGoal['closed']> {
  const { shared, routers } = derived(networkHosts(hosts), backboneOf(fleet));
  const { range, range6, outOfReach: closed = [] } = shared;
  return {
    ...{ range, range6 },
    outOfReach: [...new Set([...closed, ...routers.map(({ underlay }) => underlay)])].sort(),
  };
}

/** How a fleet's backbone is made from its hosts. */
const backboneOf = ofFleet(makeBackbone);

function makeBackbone(hosts: readonly NetworkHost[], fleet: FleetRecord): Backbone {
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
  const { mtu, tunnelMtu } = mtusOf(fleet, hosts);
  const ranges = { range, range6: range6Of(uuid), cidr, cidr6 };
  // Of those that others have nothing to do with as well.
  const underlays = fleet.encrypt === 'require' ? routers.map(({ underlay }) => underlay) : [];
  const closed = [...new Set([...outOfReach(fleet, hosts), ...underlays])].sort();
  const never = closed.length > 0 ? { outOfReach: closed } : {};
  return {
    shared: { vni: backboneVni(uuid), port: VXLAN_PORT, mtu, ...ranges, ...never },
    routers,
    holders: underlayHolders(hosts),
    tunnel: { port: TUNNEL_PORT, mtu: tunnelMtu },
    sealed: fleet.encrypt === undefined ? new Map() : withKeys(routers, hosts),
    places: new Map(),
  };
}

function withKeys(
  routers: readonly RouterOf[],
  hosts: readonly NetworkHost[],
): ReadonlyMap<string, RouterOf> {
  const encryption = encryptionOf(hosts);
  return new Map(
    routers.flatMap((router) => {
      const publicKey = encryption.get(router.host)?.publicKey;
      return publicKey ? [[router.host, { ...router, publicKey }] as const] : [];
    }),
  );
}

/**
 * All hosts' guests have the same: what one sends must reach any other in one piece. Where encryption is asked for it is counted, whether a
 * host can or not: a guest learns it when it starts, and no host that comes or goes changes it.
 */
function mtusOf(
  { encrypt }: FleetRecord,
  hosts: readonly NetworkHost[],
): { readonly mtu: number; readonly tunnelMtu: number } {
  const underlays = hosts.flatMap(({ number, offer }) =>
    number !== undefined && offer?.underlay ? [offer.underlay] : [],
  );
  const family = underlays.some(({ address }) => address.includes(':')) ? 'v6' : 'v4';
  const below = encrypt === undefined ? 0 : TUNNEL_OVERHEAD[family];
  const least = underlays.reduce((mtu, each) => Math.min(mtu, each.mtu), Number.POSITIVE_INFINITY);
  const whole = Number.isFinite(least) ? least : ETHERNET_MTU;
  const mtu = Math.max(LEAST_MTU, whole - below - OVERHEAD[family]);
  return { mtu, tunnelMtu: mtu + OVERHEAD[family] };
}

/** What of a host's record is in all hosts' backbones. */
export const routerPart = (host: HostRecord | undefined): unknown => [
  ...[host?.number, host?.offer?.underlay?.address, host?.offer?.underlay?.mtu],
  host?.offer?.underlay?.encryption?.publicKey,
  host?.offer?.underlay?.networks,
  edgePart(host),
  outOfReachPart(host),
];
