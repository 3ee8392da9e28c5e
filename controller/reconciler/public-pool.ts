import { bitsOf, familyOf, formatAddress } from '../../agent/kit/addressing.ts';
import { listAddresses, type PublicAddress } from '../model/public-address.ts';
import { isInRange, type PublicRange } from '../model/public-ranges.ts';
import type { ApplicationRecord, HostRecord } from '../model/records.ts';
import { outOfReach } from './out-of-reach.ts';

/** VRRP counts virtual routers in a byte. */
const MOST_ROUTERS = 255;

/** Addresses that are somebody's, however they are written. */
export interface OwnAddresses {
  /** Where hosts are on the underlay: never an application's. */
  readonly underlays: ReadonlySet<string>;
  /** All that hosts have, their controller and their devices. Those of applications are among them, on the host that has them now. */
  readonly seen: ReadonlySet<string>;
}

export function ownAddressesOf(hosts: readonly HostRecord[]): OwnAddresses {
  const underlays = hosts.flatMap(({ offer }) => offer?.underlay?.address ?? []).map(canonical);
  return {
    underlays: new Set(underlays),
    seen: new Set([...underlays, ...outOfReach({}, hosts).map(canonical)]),
  };
}

const canonical = (address: string): string => {
  const family = familyOf(address);
  return family === null ? address : formatAddress(family, bitsOf(address));
};

interface OfFamily {
  readonly address: string;
  readonly prefix: number;
}

/** The fleet's public addresses, and who has them: what somebody's record has is nobody else's, also while that one is on its way out. */
export class PublicPool {
  readonly #ranges: readonly PublicRange[];
  readonly #addresses: Set<string>;
  readonly #routers: Set<number>;
  readonly #own: OwnAddresses;
  readonly #devices: ReadonlySet<string>;

  constructor(
    ranges: readonly PublicRange[],
    applications: readonly ApplicationRecord[],
    own: OwnAddresses,
    devices: readonly string[],
  ) {
    this.#ranges = ranges;
    this.#own = own;
    this.#devices = new Set(devices.map(canonical));
    const taken = applications.flatMap(({ public: own, publicMachines }) => [
      ...(own ? [own] : []),
      ...Object.values(publicMachines ?? {}),
    ]);
    this.#addresses = new Set(taken.flatMap(listAddresses));
    this.#routers = new Set(taken.map(({ routerId }) => routerId));
  }

  /** These are nobody's, and may be on a host all the same. */
  holdBack(former: readonly PublicAddress[]): void {
    for (const address of former.flatMap(listAddresses)) this.#addresses.add(address);
    for (const { routerId } of former) this.#routers.add(routerId);
  }

  /**
   * What somebody has from now on: what it had, as far as the ranges still have that and no host lives by it, and else the first that is
   * nobody's, no host's and no device's.
   * @returns null: nothing of IPv4 is free, or no virtual router.
   */
  settle(before: PublicAddress | undefined): PublicAddress | null {
    const address = this.#kept(4, before?.address) ?? this.#free(4);
    const routerId = before?.routerId ?? this.#freeRouter();
    if (address === null || routerId === null) return null;
    const address6 = this.#kept(6, before?.address6?.address) ?? this.#free(6);
    this.#addresses.add(address.address);
    if (address6) this.#addresses.add(address6.address);
    this.#routers.add(routerId);
    return { ...address, routerId, ...(address6 ? { address6 } : {}) };
  }

  #kept(family: 4 | 6, address: string | undefined): OfFamily | null {
    if (address === undefined || this.#own.underlays.has(canonical(address))) return null;
    const range = this.#ranges.find((each) => each.family === family && isInRange(each, address));
    return range ? { address, prefix: range.prefix } : null;
  }

  #free(family: 4 | 6): OfFamily | null {
    for (const { first, last, prefix } of this.#ranges.filter((each) => each.family === family))
      for (let value = first; value <= last; value++) {
        const address = formatAddress(family, value);
        if (!this.#isTaken(address)) return { address, prefix };
      }
    return null;
  }

  #isTaken(address: string): boolean {
    return this.#addresses.has(address) || this.#own.seen.has(address) || this.#devices.has(address);
  }

  #freeRouter(): number | null {
    for (let routerId = 1; routerId <= MOST_ROUTERS; routerId++)
      if (!this.#routers.has(routerId)) return routerId;
    return null;
  }
}
