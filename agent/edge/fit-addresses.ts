import type { EdgeGoal, SharedAddress } from '../protocol/index.ts';
import { type AddressSight, OutOfReach } from './out-of-reach.ts';

/** A load balancer that was killed, or a certificate that is being replaced, is back by then. */
const UNSERVED_LIMIT_MS = 5_000;
/** One that runs and does not say what it serves may only be busy. */
const UNKNOWN_LIMIT_MS = 30_000;

/**
 * Which of the shared addresses this host may have: those at which it serves something. It takes part in none before that, and leaves one when
 * it has served nothing there for a while, so that a host that does serve it has it. It comes back as one that takes nothing away from whoever
 * has the address by then, so nothing goes to and fro. One whose backends it does not reach is another matter: see `OutOfReach`.
 */
export class FitAddresses {
  /** Address → when something was served there last. */
  readonly #servedMs = new Map<string, number>();
  readonly #outOfReach = new OutOfReach();

  /** Addresses that this host may have now, as one before has left it: each has its time. */
  adopt({ addresses }: EdgeGoal, nowMs: number): void {
    for (const { address } of addresses) this.#servedMs.set(address, nowMs);
  }

  /** @param served ids of endpoints that are served now; null: that is not known. @param sight what is known of their backends. */
  choose(
    goal: EdgeGoal,
    served: ReadonlySet<string> | null,
    sight: AddressSight | null,
    nowMs: number,
  ): readonly SharedAddress[] {
    const { addresses, endpoints } = goal;
    for (const known of this.#servedMs.keys())
      if (!addresses.some(({ address }) => address === known)) this.#servedMs.delete(known);
    const limitMs = served === null ? UNKNOWN_LIMIT_MS : UNSERVED_LIMIT_MS;
    const fit = addresses.filter(({ address }) => {
      const there = endpoints.filter((endpoint) => endpoint.addresses.includes(address));
      // Nothing is to be served there now: whoever has it keeps it.
      if (there.length === 0 || there.some(({ id }) => served?.has(id))) this.#servedMs.set(address, nowMs);
      const lastMs = this.#servedMs.get(address);
      return lastMs !== undefined && nowMs - lastMs < limitMs;
    });
    return this.#outOfReach.choose(goal, fit, sight, nowMs);
  }
}
