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
  #diesIn: 'before' | 'after' | null = null;
  #onDeath: () => void = () => undefined;
  /** It lost one transaction after another without ever looking at what had changed. */
  spinning = false;

  constructor(store: Store) {
    this.#store = store;
  }

  kill(): void {
    this.#dead = true;
    for (const stop of this.#stops) stop();
  }

  /** The process dies in its next transaction: before it arrives, or when it is written and nobody has heard of it; null: it does not. */
  dieIn(moment: 'before' | 'after' | null, onDeath: () => void = () => undefined): void {
    this.#diesIn = moment;
    this.#onDeath = onDeath;
  }

  get(key: string): Promise<Entry | null> {
    return this.#store.get(key);
  }

  list(prefix: string): Promise<Snapshot> {
    return this.#store.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    if (this.#dead || this.spinning) return new Promise(() => undefined);
    if (this.#diesIn !== null) return this.#die(this.#diesIn, transaction);
    const result = await this.#store.transact(transaction);
    if (this.#dead) return new Promise(() => undefined);
    this.#conflicts = result.committed ? 0 : this.#conflicts + 1;
    this.spinning = this.#conflicts > MOST_CONFLICTS;
    return result;
  }

  async #die(moment: 'before' | 'after', transaction: Transaction): Promise<TransactionResult> {
    // Whoever calls it off meanwhile comes too late.
    const onDeath = this.#onDeath;
    this.kill();
    if (moment === 'after') await this.#store.transact(transaction);
    onDeath();
    return new Promise(() => undefined);
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
