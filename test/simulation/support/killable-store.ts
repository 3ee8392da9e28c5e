import type {
  Change,
  Entry,
  Snapshot,
  Store,
  Transaction,
  TransactionResult,
} from '../../../controller/store/contract.ts';

/** Lost in a row by one writer without a pause, this is no contention but a loop. */
const MOST_CONFLICTS = 200;

/** One controller's view of a store that outlives it: after `kill` nothing it does arrives any more, wherever it was. */
export class KillableStore implements Store {
  readonly #store: Store;
  readonly #stops = new Set<() => void>();
  #dead = false;
  #conflicts = 0;
  /** It lost one transaction after another without ever looking at what had changed. */
  spinning = false;

  constructor(store: Store) {
    this.#store = store;
  }

  kill(): void {
    this.#dead = true;
    for (const stop of this.#stops) stop();
  }

  get(key: string): Promise<Entry | null> {
    return this.#store.get(key);
  }

  list(prefix: string): Promise<Snapshot> {
    return this.#store.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    if (this.#dead || this.spinning) return new Promise(() => undefined);
    const result = await this.#store.transact(transaction);
    this.#conflicts = result.committed ? 0 : this.#conflicts + 1;
    this.spinning = this.#conflicts > MOST_CONFLICTS;
    return result;
  }

  watch(prefix: string, fromRevision: number, listener: (changes: readonly Change[]) => void): () => void {
    const stop = this.#store.watch(prefix, fromRevision, (changes) => {
      this.#conflicts = 0;
      listener(changes);
    });
    this.#stops.add(stop);
    return stop;
  }

  revision(): Promise<number> {
    return this.#store.revision();
  }

  async close(): Promise<void> {}
}
