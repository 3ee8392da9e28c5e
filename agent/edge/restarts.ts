import { backOffMs } from '../kit/back-off.ts';

const WAITS = { firstMs: 250, maximumMs: 30_000, factor: 2 };
/** What has lived so long has begun well. */
const SETTLED_MS = 30_000;

/** When something that ended is started again: at once, then after waits that grow. */
export class Restarts {
  #starts = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @returns false while it is too early. */
  mayStart(nowMs: number): boolean {
    if (nowMs - this.#lastMs > SETTLED_MS + backOffMs(WAITS, this.#starts)) this.#starts = 0;
    return this.#starts === 0 || nowMs - this.#lastMs >= backOffMs(WAITS, this.#starts);
  }

  started(nowMs: number): void {
    this.#starts++;
    this.#lastMs = nowMs;
  }
}
