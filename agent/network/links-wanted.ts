import type { NetworkGoal, RouterOf } from '../protocol/index.ts';
import { canonical6, is4, prefixLength } from './addresses.ts';
import { backboneDevice, bridgeName, meshDevice, tapName, tunnelDevice } from './names.ts';
import { type BackbonePart, hasBackbone, isRouting, type RouterPart } from './router-part.ts';
import { unreachableRanges } from './unreachable.ts';

export interface WantedVxlan {
  readonly name: string;
  readonly vni: number;
  readonly port: number;
  /** This host's address on the underlay. */
  readonly local: string;
  readonly mtu: number;
  /** Null: the kernel's choice. */
  readonly mac: string | null;
  /** The bridge that it is a port of. */
  readonly master: string | null;
}

/** Made by libvirt; what it does not do is done here. */
export interface WantedBridge {
  readonly name: string;
  /** Null: as it is. */
  readonly mtu: number | null;
  /** Names of guests' interfaces, of which some may not be there. Their MTU is no less: one that a guest was started with stays. */
  readonly taps: readonly string[];
}

export interface WantedAddress {
  readonly device: string;
  readonly address: string;
  readonly prefix: number;
}

export interface WantedRoute {
  readonly device: string;
  readonly to: string;
  readonly via: string;
}

export interface WantedNeighbour {
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

/** `via`: the host to which the VXLAN sends it; null: behind which port of the bridge it is. */
export interface WantedForward {
  readonly device: string;
  readonly mac: string;
  readonly via: string | null;
  /** The device by which it goes there, and by no other one; null: as the host's routes have it. */
  readonly through: string | null;
}

/** Everything of a fleet in this host's kernel that is not libvirt's and no rule. Addresses are written as the kernel prints them. */
export interface WantedLinks {
  readonly vxlans: readonly WantedVxlan[];
  readonly bridges: readonly WantedBridge[];
  readonly addresses: readonly WantedAddress[];
  readonly routes: readonly WantedRoute[];
  readonly neighbours: readonly WantedNeighbour[];
  readonly forwards: readonly WantedForward[];
  /** Guests' addresses: what of them no other route is for goes nowhere. */
  readonly unreachable: readonly string[];
}

export function composeLinks(part: RouterPart): WantedLinks {
  const bridges = part.networks.map((network) => bridgeOf(part, network));
  const gateways = part.networks.map((network) =>
    addressOf(bridgeName(part.fleet, network), network.gateway, network.cidr),
  );
  const unreachable = unreachableRanges(part);
  const gateways6 = isRouting(part) ? part.networks.flatMap((network) => gateway6Of(part, network)) : [];
  if (!hasBackbone(part)) {
    const addresses = [...gateways, ...gateways6];
    return { vxlans: [], bridges, addresses, routes: [], neighbours: [], forwards: [], unreachable };
  }
  const [backbone, meshes] = [backboneLinks(part), meshLinks(part)];
  return {
    vxlans: [...backbone.vxlans, ...meshes.vxlans],
    bridges,
    addresses: [...backbone.addresses, ...gateways, ...gateways6],
    routes: backbone.routes,
    neighbours: [...backbone.neighbours, ...meshes.neighbours],
    forwards: [...backbone.forwards, ...meshes.forwards],
    unreachable,
  };
}

const bridgeOf = ({ fleet, backbone }: RouterPart, network: NetworkGoal): WantedBridge => ({
  name: bridgeName(fleet, network),
  mtu: backbone?.mtu ?? null,
  taps: network.leases.map(({ address }) => tapName(fleet, address)),
});

const gateway6Of = ({ fleet }: RouterPart, network: NetworkGoal): readonly WantedAddress[] =>
  network.gateway6 && network.cidr6
    ? [addressOf(bridgeName(fleet, network), network.gateway6, network.cidr6)]
    : [];

const addressOf = (device: string, address: string, cidr: string): WantedAddress => ({
  device,
  address: is4(address) ? address : canonical6(address),
  prefix: prefixLength(cidr),
});

/** VXLAN's packets to a host with which this one encrypts are bound to the tunnel: without it they go nowhere. */
const wayTo = (fleet: string, { underlay, publicKey }: RouterOf): Pick<WantedForward, 'via' | 'through'> => ({
  via: underlay,
  through: publicKey === undefined ? null : tunnelDevice(fleet),
});

/** All routers know each other by name: nothing is asked for, learned or flooded. */
function backboneLinks({
  fleet,
  backbone,
  router,
}: BackbonePart): Omit<WantedLinks, 'bridges' | 'unreachable'> {
  const { vni, port, mtu, self, others } = backbone;
  const device = backboneDevice(fleet);
  const routers = new Map(others.map((other) => [other.host, other]));
  return {
    vxlans: [{ name: device, vni, port, local: self.underlay, mtu, mac: self.mac, master: null }],
    addresses: [
      addressOf(device, self.address, backbone.cidr),
      addressOf(device, self.address6, backbone.cidr6),
    ],
    routes: (router?.routes ?? []).flatMap(({ address, address6, host }) => {
      const other = routers.get(host);
      return other === undefined
        ? []
        : [
            { device, to: address, via: other.address },
            { device, to: canonical6(address6), via: canonical6(other.address6) },
          ];
    }),
    neighbours: others.flatMap(({ address, address6, mac }) => [
      { device, address, mac },
      { device, address: canonical6(address6), mac },
    ]),
    forwards: others.map((other) => ({ device, mac: other.mac, ...wayTo(fleet, other) })),
  };
}

/**
 * As large as any guest may ever have been told: one that was started before there was a tunnel, or a host with a narrower underlay, goes on
 * sending packets of that size. They are let in as far as the VXLAN, which answers that guest with the size that its way takes; a bridge would
 * drop them without a word.
 */
const MESH_MTU = 65_000;

/** Guests of a mesh on other hosts: each is known by its address, and behind which host it is. */
function meshLinks(part: BackbonePart): Pick<WantedLinks, 'vxlans' | 'neighbours' | 'forwards'> {
  const { fleet, backbone, networks } = part;
  const ways = new Map(backbone.others.map((other) => [other.host, wayTo(fleet, other)]));
  const meshed = networks.flatMap((network) => {
    if (network.mesh === undefined) return [];
    const peers = network.mesh.peers.flatMap((peer) => {
      const way = ways.get(peer.host);
      return way === undefined ? [] : [{ ...peer, way }];
    });
    const device = meshDevice(fleet, network);
    return [{ device, bridge: bridgeName(fleet, network), vni: network.mesh.vni, peers }];
  });
  return {
    vxlans: meshed.map(({ device, bridge, vni }) => ({
      ...{ name: device, vni, port: backbone.port, local: backbone.self.underlay, mtu: MESH_MTU },
      ...{ mac: null, master: bridge },
    })),
    neighbours: meshed.flatMap(({ bridge, peers }) =>
      peers.flatMap(({ address, address6, mac }) => [
        { device: bridge, address, mac },
        { device: bridge, address: canonical6(address6), mac },
      ]),
    ),
    forwards: meshed.flatMap(({ device, peers }) =>
      peers.flatMap(({ mac, way }) => [
        { device, mac, ...way },
        { device, mac, via: null, through: null },
      ]),
    ),
  };
}
