import { ChangeLog } from '../change-log.ts';
import type { Change, Entry, Snapshot, Store, Transaction, TransactionResult } from '../contract.ts';
import { frozenCopy } from '../frozen.ts';

/** A store that forgets everything when the process ends: for tests and simulation. */
export class MemoryStore implements Store {
  /** By the first part of their keys: who lists one kind looks at no other. */
  readonly #kinds = new Map<string, Map<string, Entry>>();
  readonly #log = new ChangeLog(0);
  #revision = 0;

  async get(key: string): Promise<Entry | null> {
    return this.#entry(key) ?? null;
  }

  async list(prefix: string): Promise<Snapshot> {
    const kinds = prefix.includes('/') ? [this.#kinds.get(kindOf(prefix))] : [...this.#kinds.values()];
    const entries = kinds
      .flatMap((entries) => [...(entries?.values() ?? [])])
      .filter((entry) => entry.key.startsWith(prefix))
      .sort((one, other) => (one.key < other.key ? -1 : 1));
    return { revision: this.#revision, entries };
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const { checks = [], puts = [], deletes = [] } = transaction;
    const conflicts = checks
      .filter(({ key, revision }) => (this.#entry(key)?.revision ?? 0) !== revision)
      .map(({ key }) => key);
    if (conflicts.length > 0) return { committed: false, conflicts };
    const gone = deletes.filter((key) => this.#entry(key) !== undefined);
    if (puts.length + gone.length === 0) return { committed: true, revision: this.#revision };
    const revision = ++this.#revision;
    const changes: Change[] = [];
    for (const put of puts) {
      // By copy, as into a database; and what comes out is as little to be changed as what comes out of one.
      const value = frozenCopy(put.value);
      this.#set({ key: put.key, value, revision });
      changes.push({ revision, key: put.key, value });
    }
    for (const key of gone) {
      this.#kinds.get(kindOf(key))?.delete(key);
      changes.push({ revision, key, value: null });
    }
    this.#log.append(changes);
    return { committed: true, revision };
  }

  watch(prefix: string, fromRevision: number, listener: (changes: readonly Change[]) => void): () => void {
    return this.#log.watch(prefix, fromRevision, listener);
  }

  async revision(): Promise<number> {
    return this.#revision;
  }

  async close(): Promise<void> {
    this.#log.close();
  }

  #entry(key: string): Entry | undefined {
    return this.#kinds.get(kindOf(key))?.get(key);
  }

  #set(entry: Entry): void {
    const kind = kindOf(entry.key);
    const entries = this.#kinds.get(kind) ?? new Map<string, Entry>();
    this.#kinds.set(kind, entries.set(entry.key, entry));
  }
}

function kindOf(key: string): string {
  const slash = key.indexOf('/');
  return slash < 0 ? key : key.slice(0, slash);
}
