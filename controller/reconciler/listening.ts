import type { Clock, Timer } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';

/** How often this controller makes sure that it runs, and how late that may be. */
const BEAT_MS = 500;
const HELD_UP_MS = 1_000;

/** Since when this controller listens to hosts without a break. */
export class Listening {
  readonly #clock: Clock;
  readonly #log: Logger;
  #sinceMs = 0;
  #beatAtMs = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Unix ms; hosts have their time from then on to be heard. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  start(): void {
    this.#sinceMs = this.#clock.now();
    this.#beatAtMs = this.#clock.now();
    this.#beat();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** A controller that was held up heard nobody meanwhile, and may not have read yet what came: that is no silence of the hosts. */
  noticePause(nowMs: number): void {
    const heldUpMs = nowMs - this.#beatAtMs - BEAT_MS;
    if (heldUpMs < HELD_UP_MS) return;
    this.#log.warn({ heldUpMs }, 'this controller was held up; hosts have their time to be heard again');
    this.#sinceMs = nowMs;
    this.#beatAtMs = nowMs;
  }

  #beat(): void {
    this.noticePause(this.#clock.now());
    this.#beatAtMs = this.#clock.now();
    this.#timer = this.#clock.after(BEAT_MS, () => this.#beat());
  }
}
