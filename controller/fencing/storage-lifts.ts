import { type BackOff, backOffMs } from '../../agent/kit/back-off.ts';
import type { Clock } from '../../agent/kit/clock.ts';
import type { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import type { Logger } from '../../agent/kit/log.ts';
import type { Store } from '../store/contract.ts';
import type { StorageRunner } from './ceph-blocklist.ts';
import type { LiftRequest } from './contract.ts';
import { noteLifted, stands } from './storage-records.ts';

interface LiftsOptions {
  readonly store: Store;
  readonly storage?: StorageRunner;
  readonly clock: Clock;
  readonly log: Logger;
}

const TRIES: BackOff = { firstMs: 1_000, maximumMs: 60_000, factor: 2 };

/** Has hosts let in again that are alive, and have nothing left of what lives elsewhere. */
export class StorageLifts {
  readonly #options: LiftsOptions;
  readonly #turns: ExclusiveRunner;
  readonly #under = new Map<string, AbortController>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: LiftsOptions, turns: ExclusiveRunner) {
    this.#options = options;
    this.#turns = turns;
  }

  /** All that is to be lifted now; what is not named any more is tried no further. */
  want(requests: readonly LiftRequest[]): void {
    const wanted = new Map(requests.map((request) => [JSON.stringify(request), request]));
    for (const [key, stop] of this.#under) {
      if (wanted.has(key)) continue;
      stop.abort(new Error('not wanted any more'));
      this.#under.delete(key);
    }
    for (const [key, request] of wanted) if (!this.#under.has(key)) this.#begin(key, request);
  }

  async close(): Promise<void> {
    this.want([]);
    await Promise.all(this.#running);
  }

  #begin(key: string, request: LiftRequest): void {
    const stop = new AbortController();
    this.#under.set(key, stop);
    const work = this.#lift(request, stop.signal).finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  async #lift({ host, fence }: LiftRequest, signal: AbortSignal): Promise<void> {
    const { store, storage, clock, log } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await this.#turns.run(host, async () => {
          // Shut out anew meanwhile, it stays out.
          if (signal.aborted || !(await stands(store, host, fence))) return;
          const wasOut = (await storage?.letIn(fence.device, signal)) ?? true;
          await noteLifted(store, host, fence, wasOut);
        });
        return;
      } catch (error) {
        if (!signal.aborted)
          log.warn({ err: error, host }, 'a host could not be let in to its storage again');
      }
      await clock.sleep(backOffMs(TRIES, failures + 1), signal).catch(() => undefined);
    }
  }
}
