import { backOffMs } from './back-off.ts';
import { isWithin } from './clock.ts';

const WAITS = { firstMs: 250, maximumMs: 30_000, factor: 2 };
/** What has lived so long has begun well. */
const SETTLED_MS = 30_000;
/** Once may be somebody's doing. */
const MANY = 3;

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

  /** Whether it was started again and again, and has not lived long since: so it ends by itself. */
  keepsEnding(nowMs: number): boolean {
    return this.#starts >= MANY && isWithin(SETTLED_MS, this.#lastMs, nowMs);
  }

  /** It ends because it was told to: what is started next begins anew. */
  toldToEnd(): void {
    this.#starts = 0;
  }

  started(nowMs: number): void {
    this.#starts++;
    this.#lastMs = nowMs;
  }
}
