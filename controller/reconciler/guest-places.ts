import { guestAddress6, numberOf } from '../../agent/kit/addressing.ts';
import type { GuestRoute } from '../../agent/protocol/index.ts';
import type { FleetRecord, NetworkRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { derived } from './derived.ts';
import { listOf } from './listed-map.ts';
import type { NetworkWorld } from './network-world.ts';

/** A guest's interface, and on which host it is. */
export interface GuestPlace extends GuestRoute {
  readonly vmId: string;
  readonly networkId: string;
  readonly mac: string;
}

/** In its host's goal: placed, with what it is made from, and not on its way out. */
export const isPresent = (record: VmRecord): boolean =>
  !record.deleting && record.image !== null && record.incarnation > 0;

/** Records never change, so what is where is worked out once for each. By the record of its subnet, which it lies in. */
const places = new WeakMap<VmRecord, { readonly network: string; readonly places: readonly GuestPlace[] }>();

function placesOf(record: VmRecord, network: NetworkRecord, fleet: FleetRecord): readonly GuestPlace[] {
  const known = places.get(record);
  if (known && known.network === network.cidr) return known.places;
  const made = [record, successorView(record)].flatMap((view): readonly GuestPlace[] => {
    if (!view || view.host === null || !isPresent(view)) return [];
    const { id: vmId, address, mac, host, networkId } = view;
    const address6 = guestAddress6(fleet.uuid, network.number, network.cidr, address);
    return [{ vmId, networkId, mac, address, address6, host }];
  });
  places.set(record, { network: network.cidr, places: made });
  return made;
}

type Guests = ReadonlyMap<string, readonly GuestPlace[]>;

/** The last index of each list of VMs; the networks may be others by now, and what of them counts never changes while they are there. */
const indexes = new WeakMap<readonly VmRecord[], { readonly networks: unknown; readonly guests: Guests }>();

/** Subnet → every guest on it by address: VMs, and successors of instances, which have addresses of their own. */
export function guestsBySubnet(world: NetworkWorld): Guests {
  const vms = listOf(world.vms);
  const networks = listOf(world.networks);
  const known = indexes.get(vms);
  if (known && known.networks === networks) return known.guests;
  const guests = new Map<string, GuestPlace[]>();
  for (const record of vms) {
    const network = world.networks.get(record.networkId);
    if (!network) continue;
    for (const place of placesOf(record, network, world.fleet)) {
      const list = guests.get(place.networkId);
      if (list) list.push(place);
      else guests.set(place.networkId, [place]);
    }
  }
  for (const list of guests.values()) list.sort(byAddress);
  indexes.set(vms, { networks, guests });
  return guests;
}

const byAddress = (one: GuestPlace, other: GuestPlace): number => order(one) - order(other);
const order = (place: GuestPlace): number => derived(place, ({ address }) => numberOf(address));
