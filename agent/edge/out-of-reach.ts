import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { EdgeGoal, SharedAddress } from '../protocol/index.ts';

/** Checks that fail for a moment are no reason to move an address. */
const LIMIT_MS = 5_000;
/** Another host has taken an address by then, if there is one. */
const AWAY_MS = 3_000;
/** Between two times that this host gives an address up, which it has got again because nobody else was there. */
const WAITS: BackOff = { firstMs: 15_000, maximumMs: 120_000, factor: 2 };
/** Below those of all hosts that reach something: the controller gives 254 and downwards, one to each. */
const LOWER_BY = 127;

export interface AddressSight {
  /** Ids of endpoints with a backend that this host reaches. */
  readonly reached: ReadonlySet<string>;
  /** Addresses that this host has now. */
  readonly held: ReadonlySet<string>;
}

interface Known {
  /** When one of the backends there was reached last, or none was to be. */
  readonly reachedMs: number;
  /** How often it was given up since. */
  readonly yields: number;
  readonly yieldedMs: number;
  /** Since when this host has the address; null: it does not. */
  readonly heldMs: number | null;
}

const REACHED = { yields: 0, yieldedMs: Number.NEGATIVE_INFINITY };

/**
 * What of shared addresses this host is to have whose backends it does not reach, none of those that are ready: another host may. It gives up
 * one that it has, and comes back after a moment with a lower priority, which takes nothing away from whoever has it by then. Where no host reaches
 * any, one of them has the address all the same, and it moves less and less often, until one does.
 */
export class OutOfReach {
  readonly #known = new Map<string, Known>();

  /** @param fit those of the goal's that this host may have. @param sight null: it is not known now. */
  choose(
    { addresses, endpoints }: EdgeGoal,
    fit: readonly SharedAddress[],
    sight: AddressSight | null,
    nowMs: number,
  ): readonly SharedAddress[] {
    for (const address of this.#known.keys())
      if (!addresses.some((each) => each.address === address)) this.#known.delete(address);
    return fit.flatMap((shared): SharedAddress[] => {
      const there = endpoints.filter((endpoint) => endpoint.addresses.includes(shared.address));
      const isReached =
        sight !== null &&
        (there.some(({ id }) => sight.reached.has(id)) ||
          !there.some(({ backends }) => backends.some(({ state }) => state === 'ready')));
      const known = this.#known.get(shared.address);
      const heldMs = sight?.held.has(shared.address) ? (known?.heldMs ?? nowMs) : null;
      const next = isReached || !known ? { ...REACHED, reachedMs: nowMs, heldMs } : { ...known, heldMs };
      this.#known.set(shared.address, next);
      return this.#choose(shared, next, nowMs);
    });
  }

  #choose(shared: SharedAddress, known: Known, nowMs: number): SharedAddress[] {
    const { reachedMs, yields, yieldedMs, heldMs } = known;
    if (nowMs - reachedMs < LIMIT_MS) return [shared];
    if (nowMs - yieldedMs < AWAY_MS) return [];
    // Who gave it up to this host is back by then.
    const isOld = heldMs !== null && nowMs - heldMs >= LIMIT_MS;
    if (isOld && shared.peers.length > 0 && nowMs - yieldedMs >= backOffMs(WAITS, yields)) {
      this.#known.set(shared.address, { ...known, yields: yields + 1, yieldedMs: nowMs });
      return [];
    }
    return [{ ...shared, priority: Math.max(1, shared.priority - LOWER_BY) }];
  }
}
