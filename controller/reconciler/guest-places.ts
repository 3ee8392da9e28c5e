import { guestAddress6, numberOf } from '../../agent/kit/addressing.ts';
import type { GuestRoute } from '../../agent/protocol/index.ts';
import type { FleetRecord, NetworkRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { derived } from './derived.ts';
import { areTheSame, LastMade } from './last-made.ts';
import { viewOf } from './listed-map.ts';
import { type NetworkWorld, subnetPart } from './network-world.ts';

/** A guest's interface, and on which host it is. */
export interface GuestPlace extends GuestRoute {
  readonly vmId: string;
  readonly networkId: string;
  readonly mac: string;
}

/** In its host's goal: placed, with what it is made from, and not on its way out. */
export const isPresent = (record: VmRecord): boolean =>
  !record.deleting && record.image !== null && record.incarnation > 0;

/** What of a VM's record says where it, or its successor, is reached. */
interface Part {
  readonly vmId: string;
  readonly networkId: string;
  readonly at: readonly Omit<GuestPlace, 'address6'>[];
}

const partOf = (record: VmRecord): Part => ({
  ...{ vmId: record.id, networkId: record.networkId },
  at: [record, successorView(record)].flatMap((view) => {
    if (!view || view.host === null || !isPresent(view)) return [];
    const { id: vmId, networkId, mac, address, host } = view;
    return [{ vmId, networkId, mac, address, host }];
  }),
});

interface Placed {
  readonly place: GuestPlace;
  /** Its IPv4 address as a number. */
  readonly order: number;
}

/** By the subnet that they were seen in last. */
const lastPlaced = new LastMade<Part, readonly Placed[]>();

const placedOf = (part: Part, { number, cidr }: NetworkRecord, { uuid }: FleetRecord): readonly Placed[] =>
  lastPlaced.of(part, [number, cidr, uuid], () =>
    part.at.map((at) => ({
      place: { ...at, address6: guestAddress6(uuid, number, cidr, at.address) },
      order: numberOf(at.address),
    })),
  );

type Guests = ReadonlyMap<string, readonly GuestPlace[]>;

/** By the map of all VMs. */
const lastGuests = new LastMade<NetworkWorld['vms'], Guests>();

/**
 * Subnet → every guest on it by address: VMs, and successors of instances, which have addresses of their own. The list of a subnet is the very
 * same as before where nothing has come, gone or moved on it.
 */
export function guestsBySubnet({ vms, networks, fleet }: NetworkWorld): Guests {
  const parts = viewOf(vms, partOf);
  return lastGuests.of(vms, [parts, viewOf(networks, subnetPart), fleet], (before) => {
    const placed = new Map<string, Placed[]>();
    for (const part of parts) {
      const network = networks.get(part.networkId);
      if (!network || part.at.length === 0) continue;
      const list = placed.get(part.networkId) ?? [];
      placed.set(part.networkId, list);
      list.push(...placedOf(part, network, fleet));
    }
    return new Map(
      [...placed].map(([subnet, list]) => {
        const places = list.sort((one, other) => one.order - other.order).map(({ place }) => place);
        const known = before?.get(subnet);
        return [subnet, known && areTheSame(known, places) ? known : places];
      }),
    );
  });
}

interface Elsewhere<T> {
  readonly all: T[];
  readonly hosts: ReadonlySet<string>;
  /** Host that has some of them → those on others, as far as somebody has asked. */
  readonly without: Map<string, T[]>;
}

/**
 * What follows from each guest of a subnet that is on another host than the one that asks; the same list each time, of the same objects.
 * @param of pure. @returns one function for all calls; its lists are nobody's to change.
 */
export function elsewhere<T>(
  of: (guest: GuestPlace) => T,
): (guests: readonly GuestPlace[], host: string) => T[] {
  const collect = (guests: readonly GuestPlace[]): Elsewhere<T> => ({
    all: guests.map((guest) => derived(guest, of)),
    hosts: new Set(guests.map(({ host }) => host)),
    without: new Map(),
  });
  return (guests, host) => {
    const { all, hosts, without } = derived(guests, collect);
    if (!hosts.has(host)) return all;
    const known = without.get(host) ?? all.filter((_, index) => guests[index]?.host !== host);
    without.set(host, known);
    return known;
  };
}
