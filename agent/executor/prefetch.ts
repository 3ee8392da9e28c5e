import type { BlobCache } from '../disks/contract.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Goal } from '../protocol/index.ts';

type Wanted = Goal['prefetch'][number];

const RETRY_MS = 30_000;

/** Has blobs ready that no VM here needs yet: what may have to be started here in a hurry. One after another, beside everything else. */
export class Prefetch {
  readonly #cache: BlobCache;
  readonly #clock: Clock;
  readonly #log: Logger;
  #wanted: readonly Wanted[] = [];
  #under: AbortController | null = null;
  #retry: Timer | null = null;

  constructor(cache: BlobCache, clock: Clock, log: Logger) {
    this.#cache = cache;
    this.#clock = clock;
    this.#log = log;
  }

  /** What is wanted now; what is not wanted any more is not fetched further. */
  follow(wanted: readonly Wanted[]): void {
    if (JSON.stringify(wanted) === JSON.stringify(this.#wanted)) return;
    this.close();
    this.#wanted = wanted;
    void this.#fetch();
  }

  close(): void {
    this.#under?.abort(new WeftError('conflict', 'it is not wanted ahead of time any more'));
    this.#retry?.cancel();
    this.#wanted = [];
  }

  async #fetch(): Promise<void> {
    const under = new AbortController();
    this.#under = under;
    for (const { kind, ...blob } of this.#wanted) {
      if (under.signal.aborted) return;
      try {
        await this.#cache.ensure(blob, kind, { signal: under.signal });
      } catch (error) {
        if (under.signal.aborted) return;
        this.#log.info({ err: error, digest: blob.digest }, 'a blob could not be fetched ahead of time');
        this.#retry?.cancel();
        this.#retry = this.#clock.after(RETRY_MS, () => void this.#fetch());
        return;
      }
    }
  }
}
