import type { Clock, Timer } from '../../../agent/kit/clock.ts';
import { sleepOn } from '../../../agent/kit/virtual-clock.ts';

/** What stands still and goes wrong with a whole host: the processes on it share it. */
export interface HostTime {
  /** Stopped (SIGSTOP): what falls due waits. */
  paused: boolean;
  /** How far its clock is off, ms. */
  skewMs: number;
  /** What fell due while it was stopped. */
  readonly waiting: (() => void)[];
}

/** The clock of one process on a simulated host. After the process was killed, nothing that it waited for comes. */
export class HostClock implements Clock {
  readonly clock: Clock;
  readonly host: HostTime;
  killed = false;

  constructor(clock: Clock, host: HostTime) {
    this.clock = clock;
    this.host = host;
  }

  kill(): void {
    this.killed = true;
  }

  now(): number {
    return this.clock.now() + this.host.skewMs;
  }

  after(delayMs: number, action: () => void): Timer {
    return new HostTimer(this, delayMs, action);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }
}

class HostTimer implements Timer {
  readonly #process: HostClock;
  readonly #timer: Timer;
  readonly #action: () => void;
  #cancelled = false;

  constructor(process: HostClock, delayMs: number, action: () => void) {
    this.#process = process;
    this.#action = action;
    this.#timer = process.clock.after(delayMs, () => this.#fire());
  }

  cancel(): void {
    this.#cancelled = true;
    this.#timer.cancel();
  }

  #fire(): void {
    const { host, killed } = this.#process;
    if (killed || this.#cancelled) return;
    if (host.paused) host.waiting.push(() => this.#fire());
    else this.#action();
  }
}
