import type { Clock, Timer } from './clock.ts';

class Due implements Timer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
  cancelled = false;

  constructor(atMs: number, order: number, action: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.action = action;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** A clock that moves only when told to: for tests and simulation. Timers due at one instant fire in the order they were set. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  /** A binary heap, the next one first: thousands of timers are nothing. */
  readonly #due: Due[] = [];

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): Timer {
    const due = new Due(this.#nowMs + Math.max(0, delayMs), this.#order++, action);
    this.#push(due);
    return due;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Moves time forward, firing what falls due on the way and letting its promises settle. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    while (this.fireNext(untilMs)) await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Jumps to the next timer that is due until then and fires it; when there is none, to that time.
   * @returns whether one was fired: what it set in motion is for the caller to wait for.
   */
  fireNext(untilMs: number): boolean {
    for (let due = this.#due[0]; due !== undefined && due.atMs <= untilMs; due = this.#due[0]) {
      this.#pop();
      if (due.cancelled) continue;
      this.#nowMs = due.atMs;
      due.action();
      return true;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    return false;
  }

  #push(due: Due): void {
    const heap = this.#due;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Due;
      if (!isBefore(due, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = due;
  }

  #pop(): void {
    const heap = this.#due;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isBefore(heap[right] as Due, heap[child] as Due)) child = right;
      if (!isBefore(heap[child] as Due, last)) break;
      heap[index] = heap[child] as Due;
      index = child;
    }
    heap[index] = last;
  }
}

const isBefore = (one: Due, other: Due): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

/** The sleep of a clock that has timers. */
export function sleepOn(clock: Pick<Clock, 'after'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
