import type { Clock, Timer } from '../kit/clock.ts';

/** A guest that has not answered for so long leaves its slot to the next; it may go on booting. */
const LONGEST_HOLD_MS = 120_000;

/**
 * How many guests may boot at once by default. An emulated boot fills a processor by itself; one on real virtualization waits for its
 * disk and devices for most of its time.
 */
export const bootsAtOnce = (accelerator: 'kvm' | 'tcg', cpus: number): number =>
  Math.max(1, accelerator === 'kvm' ? 4 * cpus : cpus);

/**
 * Bounds the guests that boot at once: first come, first served. A boot keeps a processor busy, and emulated processors that
 * share one get in each other's way, so that many boots at once end later than the same boots in turns.
 */
export class BootSlots {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /**
   * Waits for a slot. @param onWait told once, with the slots taken, when none is free.
   * @returns what gives the slot back; safe to call again. @throws the signal's reason.
   */
  take(signal: AbortSignal, onWait: (taken: number) => void = () => undefined): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.#limit) return Promise.resolve(this.#hold());
    onWait(this.#taken);
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#hold());
      };
      const onAbort = () => {
        this.#waiting.delete(begin);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(begin);
    });
  }

  #hold(): () => void {
    this.#taken++;
    let limit: Timer | null = null;
    let held = true;
    const giveBack = () => {
      if (!held) return;
      held = false;
      limit?.cancel();
      this.#taken--;
      const [next] = this.#waiting;
      if (!next) return;
      this.#waiting.delete(next);
      next();
    };
    limit = this.#clock.after(LONGEST_HOLD_MS, giveBack);
    return giveBack;
  }
}
