import { type BackOff, backOffMs } from '../kit/back-off.ts';
import { isWithin } from '../kit/clock.ts';

/** Each try may be a reload that comes to nothing, in which HAProxy takes no connection for two seconds. */
const WAITS: BackOff = { firstMs: 15_000, maximumMs: 5 * 60_000, factor: 2 };

interface Refusal {
  /** What was refused. */
  readonly edition: string;
  readonly why: string;
  readonly failures: number;
  readonly atMs: number;
}

/** Endpoints that HAProxy has refused. Each is offered to it again after waits that grow, or at once when it is another one by now; what others are is no matter. */
export class RefusedEndpoints {
  readonly #refusals = new Map<string, Refusal>();

  refuse(id: string, edition: string, why: string, nowMs: number): void {
    const failures = (this.#refusals.get(id)?.failures ?? 0) + 1;
    this.#refusals.set(id, { edition, why, failures, atMs: nowMs });
  }

  /** HAProxy has it. */
  taken(id: string): void {
    this.#refusals.delete(id);
  }

  /** Id → why it is not to be offered yet. @param editions of all that are wanted, by their ids: what makes them what they are. */
  waiting(editions: ReadonlyMap<string, string>, nowMs: number): ReadonlyMap<string, string> {
    const waiting = new Map<string, string>();
    for (const [id, { edition, why, failures, atMs }] of this.#refusals) {
      if (editions.get(id) !== edition) this.#refusals.delete(id);
      else if (isWithin(backOffMs(WAITS, failures), atMs, nowMs)) waiting.set(id, why);
    }
    return waiting;
  }
}
