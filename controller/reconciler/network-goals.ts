import { address6At, guestAddress6, subnet6Of, vniOf } from '../../agent/kit/addressing.ts';
import type { Goal, NetworkGoal } from '../../agent/protocol/index.ts';
import type { NetworkRecord, VmRecord } from '../model/records.ts';
import { backboneGoalOf } from './backbone-goals.ts';
import { isColliding } from './collisions.ts';
import { edgeGoalOf } from './edge-goals.ts';
import { elsewhere, guestsBySubnet } from './guest-places.ts';
import { LastMade } from './last-made.ts';
import { namesGoalOf } from './names-goals.ts';
import type { NetworkWorld } from './network-world.ts';
import { isClosed } from './outbound.ts';
import { nameOf } from './placement.ts';
import { roleOf } from './retired.ts';
import { routerGoalOf } from './router-goals.ts';

type MeshPeer = NonNullable<NetworkGoal['mesh']>['peers'][number];
type NetworkParts = Pick<Goal, 'networks' | 'backbone' | 'router' | 'edge' | 'names'>;

/** What a host's goal says of the network. @param guests VMs that are on it, or come to it. */
export function networkPartsOf(host: string, guests: readonly VmRecord[], world: NetworkWorld): NetworkParts {
  const ids = [...new Set(guests.map(({ networkId }) => networkId))].sort();
  // What collides takes nothing new: of its guests' ways there are only those of guests that it has.
  const isApart = guests.length === 0 && isColliding(world.hosts.get(host));
  const backbone = isApart ? undefined : backboneGoalOf(host, world);
  const edge = edgeGoalOf(host, world);
  const names = namesGoalOf(host, world);
  return {
    networks: ids.flatMap((id) => {
      const network = world.networks.get(id);
      return network ? [networkGoalOf(host, network, guests, world)] : [];
    }),
    router: routerGoalOf(host, guests, backbone !== undefined, world),
    ...(backbone ? { backbone } : {}),
    ...(edge ? { edge } : {}),
    ...(names ? { names } : {}),
  };
}

/** A guest's IPv6 address, as far as its subnet is known. */
export function address6Of(
  { networkId, address }: Pick<VmRecord, 'networkId' | 'address'>,
  { networks, fleet }: Pick<NetworkWorld, 'networks' | 'fleet'>,
): { readonly address6?: string } {
  const network = networks.get(networkId);
  if (!network) return {};
  return { address6: guestAddress6(fleet.uuid, network.number, network.cidr, address) };
}

/** By the first of its guests on this host. */
const lastGoals = new LastMade<VmRecord, NetworkGoal>();

/** @param guests all of this host's. */
function networkGoalOf(
  host: string,
  network: NetworkRecord,
  guests: readonly VmRecord[],
  world: NetworkWorld,
): NetworkGoal {
  const own = guests.filter(({ networkId }) => networkId === network.id);
  const { number, cidr, gateway } = network;
  const mesh = meshOf(host, network, world);
  const [app = '', subnet = ''] = network.id.split('/');
  const isNamesOnly = isClosed(world.applications.get(app), subnet);
  const madeFrom = [number, cidr, gateway, world.fleet, mesh.mesh?.peers, isNamesOnly, ...own];
  const make = () => makeNetworkGoal(network, own, mesh, isNamesOnly, world);
  const [first] = own;
  return first ? lastGoals.of(first, madeFrom, make) : make();
}

function makeNetworkGoal(
  network: NetworkRecord,
  guests: readonly VmRecord[],
  mesh: Pick<NetworkGoal, 'mesh'>,
  isNamesOnly: boolean,
  world: NetworkWorld,
): NetworkGoal {
  const { id, number, cidr, gateway } = network;
  const cidr6 = subnet6Of(world.fleet.uuid, number);
  return {
    ...{ id, number, cidr, gateway, cidr6, gateway6: address6At(cidr6, 1) },
    leases: guests
      .map((guest) => ({
        ...{ vmId: guest.id, mac: guest.mac, address: guest.address },
        ...address6Of(guest, world),
        hostname: nameOf(guest.id),
      }))
      .sort((one, other) => (one.vmId < other.vmId ? -1 : 1)),
    ...(isNamesOnly ? { namesOnly: true } : {}),
    ...mesh,
  };
}

function meshOf(host: string, { id, number }: NetworkRecord, world: NetworkWorld): Pick<NetworkGoal, 'mesh'> {
  const app = id.slice(0, id.indexOf('/'));
  const role = roleOf(world.applications.get(app), id.slice(id.indexOf('/') + 1));
  if (!role?.mesh) return {};
  const guests = guestsBySubnet(world).get(id);
  return { mesh: { vni: vniOf(world.fleet.uuid, number), peers: guests ? peersOf(guests, host) : [] } };
}

/** One object for each guest: goals that are compared, and sent, share it. */
const peersOf = elsewhere(({ mac, address, address6, host }): MeshPeer => ({ mac, address, address6, host }));
