import { WeftError } from '../../agent/kit/errors.ts';
import type { Change } from './contract.ts';

/** Changes kept for watchers that are behind; one further behind lists again. */
const KEPT_CHANGES = 50_000;
/** So many more are let go at once: the log is not moved for each. */
const LET_GO_AT_ONCE = 10_000;

interface Watcher {
  readonly prefix: string;
  readonly listener: (changes: readonly Change[]) => void;
  /** Revision of the last change that was told. */
  toldRevision: number;
  stopped: boolean;
}

/**
 * Tells watchers what was committed: in order, once each, a transaction at a time, never inside the transaction itself.
 * Lives in memory; after a restart everybody lists first.
 */
export class ChangeLog {
  readonly #changes: Change[] = [];
  readonly #watchers = new Set<Watcher>();
  /** Everything after this revision is in the log. */
  #compactedRevision: number;
  #scheduled = false;

  constructor(revision: number) {
    this.#compactedRevision = revision;
  }

  append(changes: readonly Change[]): void {
    this.#changes.push(...changes);
    if (this.#changes.length > KEPT_CHANGES + LET_GO_AT_ONCE) {
      const dropped = this.#changes.splice(0, this.#changes.length - KEPT_CHANGES);
      this.#compactedRevision = dropped.at(-1)?.revision ?? this.#compactedRevision;
    }
    this.#schedule();
  }

  watch(prefix: string, fromRevision: number, listener: Watcher['listener']): () => void {
    if (fromRevision < this.#compactedRevision)
      throw new WeftError('conflict', `changes since revision ${fromRevision} are no longer kept`, {
        remedy: 'List again, and watch from the revision of that list.',
      });
    const watcher: Watcher = { prefix, listener, toldRevision: fromRevision, stopped: false };
    this.#watchers.add(watcher);
    this.#schedule();
    return () => {
      watcher.stopped = true;
      this.#watchers.delete(watcher);
    };
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.stopped = true;
    this.#watchers.clear();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const watcher of [...this.#watchers]) this.#tell(watcher);
    });
  }

  #tell(watcher: Watcher): void {
    let index = firstAfter(this.#changes, watcher.toldRevision);
    while (index < this.#changes.length && !watcher.stopped) {
      const revision = this.#changes[index]?.revision ?? 0;
      const batch: Change[] = [];
      for (; this.#changes[index]?.revision === revision; index++) {
        const change = this.#changes[index];
        if (change?.key.startsWith(watcher.prefix)) batch.push(change);
      }
      watcher.toldRevision = revision;
      if (batch.length > 0) watcher.listener(batch);
    }
  }
}

/** Index of the first change after a revision; the log is in order. */
function firstAfter(changes: readonly Change[], revision: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
