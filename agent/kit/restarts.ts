import { backOffMs } from './back-off.ts';
import { isWithin } from './clock.ts';

const WAITS = { firstMs: 250, maximumMs: 30_000, factor: 2 };
/** What has lived so long has begun well. */
const SETTLED_MS = 30_000;

/** When something that ended is started again: at once, then after waits that grow. */
export class Restarts {
  #starts = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @returns false while it is too early. */
  mayStart(nowMs: number): boolean {
    const waitMs = backOffMs(WAITS, this.#starts);
    if (!isWithin(SETTLED_MS + waitMs, this.#lastMs, nowMs)) this.#starts = 0;
    return this.#starts === 0 || !isWithin(waitMs, this.#lastMs, nowMs);
  }

  started(nowMs: number): void {
    this.#starts++;
    this.#lastMs = nowMs;
  }
}
