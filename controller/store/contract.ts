/**
 * What the controller needs of a store: documents under keys, one revision counter, compare-and-set over several keys in
 * one transaction, and a watch that misses nothing. Shaped so that SQLite, memory and etcd can all keep it.
 *
 * Keys are slash-separated (`vms/crm/web-0`); values are JSON. Every implementation passes `test/contract/store`.
 */
export interface Entry<T = unknown> {
  readonly key: string;
  /** Shared with other readers, and perhaps frozen: to be read only. */
  readonly value: T;
  /** Store revision of the last write to this key. */
  readonly revision: number;
}

export interface Check {
  readonly key: string;
  /** The key must be at exactly this revision; 0: it must not exist. */
  readonly revision: number;
}

export interface Transaction {
  readonly checks?: readonly Check[];
  readonly puts?: readonly { readonly key: string; readonly value: unknown }[];
  readonly deletes?: readonly string[];
}

export type TransactionResult =
  | { readonly committed: true; readonly revision: number }
  | { readonly committed: false; readonly conflicts: readonly string[] };

export interface Change {
  readonly revision: number;
  readonly key: string;
  /** Null: deleted. */
  readonly value: unknown | null;
}

export interface Snapshot<T = unknown> {
  /** Every write up to this revision is in the entries; watch from here misses nothing. */
  readonly revision: number;
  readonly entries: readonly Entry<T>[];
}

export interface Store {
  get(key: string): Promise<Entry | null>;
  /** Entries whose key starts with `prefix`, in key order, as of one revision. */
  list(prefix: string): Promise<Snapshot>;
  /** All or nothing, durable when it resolves. A conflict writes nothing. All writes of one transaction carry one revision. */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /**
   * Calls the listener for every change under `prefix` after `fromRevision`, in order, once each, after it is durable.
   * @returns a function that stops it.
   * @throws WeftError `conflict` when `fromRevision` has been compacted away: list again, then watch from its revision.
   */
  watch(prefix: string, fromRevision: number, listener: (changes: readonly Change[]) => void): () => void;
  /** Current revision. */
  revision(): Promise<number>;
  close(): Promise<void>;
}
