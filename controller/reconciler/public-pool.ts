import { formatAddress } from '../../agent/kit/addressing.ts';
import { listAddresses, type PublicAddress } from '../model/public-address.ts';
import { isInRange, type PublicRange } from '../model/public-ranges.ts';
import type { ApplicationRecord } from '../model/records.ts';

/** VRRP counts virtual routers in a byte. */
const MOST_ROUTERS = 255;

interface OfFamily {
  readonly address: string;
  readonly prefix: number;
}

/** The fleet's public addresses, and who has them: what somebody's record has is nobody else's, also while that one is on its way out. */
export class PublicPool {
  readonly #ranges: readonly PublicRange[];
  readonly #addresses: Set<string>;
  readonly #routers: Set<number>;

  constructor(ranges: readonly PublicRange[], applications: readonly ApplicationRecord[]) {
    this.#ranges = ranges;
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
   * What somebody has from now on: what it had, as far as the ranges still have that, and else the first that is free.
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
    if (address === undefined) return null;
    const range = this.#ranges.find((each) => each.family === family && isInRange(each, address));
    return range ? { address, prefix: range.prefix } : null;
  }

  #free(family: 4 | 6): OfFamily | null {
    for (const { first, last, prefix } of this.#ranges.filter((each) => each.family === family))
      for (let value = first; value <= last; value++) {
        const address = formatAddress(family, value);
        if (!this.#addresses.has(address)) return { address, prefix };
      }
    return null;
  }

  #freeRouter(): number | null {
    for (let routerId = 1; routerId <= MOST_ROUTERS; routerId++)
      if (!this.#routers.has(routerId)) return routerId;
    return null;
  }
}
