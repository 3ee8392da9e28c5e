import type { RouterPart } from '../../../../agent/network/router-part.ts';
import type { VmRecord } from '../../../../controller/model/index.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** A router takes packets of guests elsewhere only from where they are: what was superseded or is dead is behind none, once a goal says so. */
export class RemoteGuests implements Rule {
  readonly #fabric: Fabric;
  /** VM id → its addresses, and on which hosts they are. */
  readonly #places = new Map<string, readonly string[]>();
  readonly #present = new Set<string>();
  /** Place → the revision since which nothing is there any more. */
  readonly #ended = new Map<string, number>();
  /** Of a route, its place: goals that follow each other share most routes. */
  readonly #placesOfRoutes = new WeakMap<object, string>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  /** Everything of one transaction holds at once: all that changes leaves first. */
  committed({ vms, revision }: Commit): void {
    for (const id of vms)
      for (const place of this.#places.get(id) ?? []) {
        this.#present.delete(place);
        this.#ended.set(place, revision);
      }
    for (const id of vms) {
      const places = placesOf(this.#fabric.records.vm(id));
      if (places.length === 0) this.#places.delete(id);
      else this.#places.set(id, places);
      for (const place of places) {
        this.#present.add(place);
        this.#ended.delete(place);
      }
    }
  }

  networkApplied(host: SimulatedHost): void {
    const applied = host.network;
    if (!applied) return;
    for (const route of routesOf(applied.part)) {
      const place = this.#placeOf(route);
      if (this.#present.has(place)) continue;
      const ended = this.#ended.get(place);
      // What it was told before that is the truth as it was then.
      if (ended !== undefined && ended > applied.revision) continue;
      this.#fabric.violated(
        `${host.name} takes packets of ${place}, where ${ended === undefined ? 'it never was' : `nothing of it is since revision ${ended}`}: its goal is of ${applied.revision}`,
      );
    }
  }

  #placeOf(route: Place): string {
    const known = this.#placesOfRoutes.get(route) ?? placeOf(route);
    this.#placesOfRoutes.set(route, known);
    return known;
  }
}

interface Place {
  readonly address: string;
  readonly host: string;
}

const placeOf = ({ address, host }: Place): string => `${address} on ${host}`;

const routesOf = ({ router, networks }: RouterPart): readonly Place[] => [
  ...(router?.routes ?? []),
  ...networks.flatMap(({ mesh }) => mesh?.peers ?? []),
];

/** An instance's successor has an address of its own while both are there; a machine is in one place. */
function placesOf(vm: VmRecord | undefined): readonly string[] {
  if (!vm) return [];
  return [vm, vm.role === null ? null : vm.successor].flatMap((each) =>
    each && each.host !== null ? [placeOf({ address: each.address, host: each.host })] : [],
  );
}
