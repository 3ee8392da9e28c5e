import { guestAddress6, numberOf } from '../../agent/kit/addressing.ts';
import type { GuestRoute } from '../../agent/protocol/index.ts';
import type { FleetRecord, NetworkRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { derived } from './derived.ts';
import { listOf, viewOf } from './listed-map.ts';
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

interface Known {
  readonly fleet: string;
  readonly network: NetworkRecord;
  readonly placed: readonly Placed[];
}
/** Parts never change: what is where in the last subnet that they were seen in is worked out once for each. */
const known = new WeakMap<Part, Known>();

function placedOf(part: Part, network: NetworkRecord, fleet: FleetRecord): readonly Placed[] {
  const before = known.get(part);
  if (before?.fleet === fleet.uuid && isSameSubnet(before.network, network)) return before.placed;
  const { number, cidr } = network;
  const placed = part.at.map((at) => ({
    place: { ...at, address6: guestAddress6(fleet.uuid, number, cidr, at.address) },
    order: numberOf(at.address),
  }));
  known.set(part, { fleet: fleet.uuid, network, placed });
  return placed;
}

const isSameSubnet = (one: NetworkRecord, other: NetworkRecord): boolean =>
  one === other || (one.number === other.number && one.cidr === other.cidr);

type Guests = ReadonlyMap<string, readonly GuestPlace[]>;

/** The last index of each map of VMs, and all that it was made from. */
const indexes = new WeakMap<
  NetworkWorld['vms'],
  { readonly madeFrom: readonly unknown[]; readonly guests: Guests }
>();

/**
 * Subnet → every guest on it by address: VMs, and successors of instances, which have addresses of their own. The list of a subnet is the very
 * same as before where nothing has come, gone or moved on it.
 */
export function guestsBySubnet({ vms, networks, fleet }: NetworkWorld): Guests {
  const parts = viewOf(vms, partOf);
  const madeFrom = [parts, listOf(networks), fleet];
  const before = indexes.get(vms);
  if (before?.madeFrom.every((each, index) => each === madeFrom[index])) return before.guests;
  const placed = new Map<string, Placed[]>();
  for (const part of parts) {
    const network = networks.get(part.networkId);
    if (!network) continue;
    const list = placed.get(part.networkId);
    const own = placedOf(part, network, fleet);
    if (list) list.push(...own);
    else placed.set(part.networkId, [...own]);
  }
  const guests = new Map<string, readonly GuestPlace[]>();
  for (const [subnet, list] of placed) {
    if (list.length === 0) continue;
    const places = list.sort((one, other) => one.order - other.order).map(({ place }) => place);
    const known = before?.guests.get(subnet);
    guests.set(subnet, known && areTheSame(known, places) ? known : places);
  }
  indexes.set(vms, { madeFrom, guests });
  return guests;
}

const areTheSame = (one: readonly GuestPlace[], other: readonly GuestPlace[]): boolean =>
  one.length === other.length && one.every((place, index) => place === other[index]);

interface Elsewhere<T> {
  readonly all: readonly T[];
  readonly hosts: ReadonlySet<string>;
  /** Host that has some of them → those on others, as far as somebody has asked. */
  readonly without: Map<string, readonly T[]>;
}

/**
 * What follows from each guest of a subnet that is on another host than the one that asks; the same list each time, of the same objects.
 * @param of pure. @returns one function for all calls.
 */
export function elsewhere<T>(
  of: (guest: GuestPlace) => T,
): (guests: readonly GuestPlace[], host: string) => readonly T[] {
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
