import type {
  Change,
  Entry,
  Snapshot,
  Store,
  Transaction,
  TransactionResult,
} from '../../../controller/store/contract.ts';
import type { Activity } from './settle.ts';

/** A store that tells what was committed at the moment of the commit, before anybody can act on it. */
export class ObservedStore implements Store {
  readonly #store: Store;
  readonly #activity: Activity;
  readonly #onCommit: (transaction: Transaction, revision: number) => void;

  constructor(
    store: Store,
    activity: Activity,
    onCommit: (transaction: Transaction, revision: number) => void,
  ) {
    this.#store = store;
    this.#activity = activity;
    this.#onCommit = onCommit;
  }

  get(key: string): Promise<Entry | null> {
    this.#activity.note();
    return this.#store.get(key);
  }

  list(prefix: string): Promise<Snapshot> {
    this.#activity.note();
    return this.#store.list(prefix);
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.#activity.note();
    const result = await this.#store.transact(transaction);
    this.#activity.note();
    if (result.committed) this.#onCommit(transaction, result.revision);
    return result;
  }

  watch(prefix: string, fromRevision: number, listener: (changes: readonly Change[]) => void): () => void {
    this.#activity.note();
    return this.#store.watch(prefix, fromRevision, (changes) => {
      this.#activity.note();
      listener(changes);
    });
  }

  revision(): Promise<number> {
    return this.#store.revision();
  }

  async close(): Promise<void> {}
}
