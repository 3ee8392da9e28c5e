import type { Clock, Timer } from './clock.ts';

export interface Pace {
  /** From the first asking to what it leads to: what is asked for meanwhile is one with it. */
  readonly settleMs: number;
  /** Between two of them at least. */
  readonly pauseMs: number;
}

/** Something that is done when it is asked for, but not more and more often when it is asked for without end. */
export class Paced {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #work: () => void;
  #timer: Timer | null = null;
  #isPausing = false;
  #isAsked = false;

  constructor(clock: Clock, pace: Pace, work: () => void) {
    this.#clock = clock;
    this.#pace = pace;
    this.#work = work;
  }

  ask(): void {
    if (this.#isPausing) this.#isAsked = true;
    else this.#timer ??= this.#clock.after(this.#pace.settleMs, () => this.#turn());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #turn(): void {
    this.#isPausing = true;
    this.#isAsked = false;
    this.#timer = this.#clock.after(this.#pace.pauseMs, () => {
      this.#isPausing = false;
      this.#timer = null;
      if (this.#isAsked) this.#turn();
    });
    this.#work();
  }
}
