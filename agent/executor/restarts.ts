import { backOffMs } from '../kit/back-off.ts';
import type { RestartCause, Restarts } from '../protocol/index.ts';

/** A guest that was not ready for so long on end had no life of its own. */
export const LIFE_MS = 30_000;
const BACK_OFF = { firstMs: 1_000, maximumMs: 60_000, factor: 2 };
const KEPT = 10;
const TAIL_CHARACTERS = 4_096;

/** How the guest of one incarnation has lived and died on this host since the agent knows it. Times are Unix ms. */
export class RestartBook {
  #count = 0;
  #recent: Restarts['recent'] = [];
  #consoleTail: string | null = null;
  #picture = false;
  #shortLives = 0;
  /** Of the present life: since when it is ready, and the longest that it was. */
  #readySinceMs: number | null = null;
  #longestReadyMs = 0;

  get shortLives(): number {
    return this.#shortLives;
  }

  begin(): void {
    this.#readySinceMs = null;
    this.#longestReadyMs = 0;
  }

  note(isReady: boolean, nowMs: number): void {
    if (isReady) {
      this.#readySinceMs ??= nowMs;
      return;
    }
    this.#longestReadyMs = Math.max(this.#longestReadyMs, this.#readyMs(nowMs));
    this.#readySinceMs = null;
  }

  /** A life has ended. @returns how long to wait before the next one, milliseconds. */
  end(
    end: { cause: RestartCause; message: string; consoleTail?: string | null; picture?: boolean },
    nowMs: number,
  ): number {
    this.note(false, nowMs);
    // That its host had no lease is no fault of the guest's.
    if (end.cause !== 'lease') this.#shortLives = this.#longestReadyMs < LIFE_MS ? this.#shortLives + 1 : 0;
    this.#count++;
    const entry = { cause: end.cause, atMs: nowMs, message: end.message.slice(0, 512) };
    this.#recent = [...this.#recent, entry].slice(-KEPT);
    this.keep(end);
    return end.cause === 'lease' ? 0 : backOffMs(BACK_OFF, this.#shortLives);
  }

  /** What was left of the life that ended last. */
  keep(left: { consoleTail?: string | null; picture?: boolean }): void {
    this.#consoleTail = left.consoleTail?.slice(-TAIL_CHARACTERS) ?? null;
    if (left.picture) this.#picture = true;
  }

  /** Null: none so far. */
  report(): Restarts | null {
    if (this.#count === 0) return null;
    return {
      count: this.#count,
      recent: [...this.#recent],
      ...(this.#consoleTail === null ? {} : { consoleTail: this.#consoleTail }),
      picture: this.#picture,
    };
  }

  #readyMs(nowMs: number): number {
    return this.#readySinceMs === null ? 0 : nowMs - this.#readySinceMs;
  }
}
