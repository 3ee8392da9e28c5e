import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { EventRecord } from '../model/records.ts';
import { KINDS, type Kind, PREFIXES, type RecordOf, type World } from './world.ts';

export type PlannedEvent = Omit<EventRecord, 'sequence' | 'atMs'>;

/** What a plan writes: all of it in one transaction. */
export interface Writes {
  readonly puts: readonly { readonly key: string; readonly value: unknown }[];
  readonly deletes: readonly string[];
  readonly events: readonly PlannedEvent[];
}

/** A world that is being changed: the rules read and write it one after another; the original stays as it is. */
export class Draft {
  readonly world: World;
  readonly nowMs: number;
  readonly #changes: { readonly [K in Kind]: Map<string, RecordOf[K] | null> } = {
    applications: new Map(),
    vms: new Map(),
    hosts: new Map(),
    claims: new Map(),
    networks: new Map(),
    tombstones: new Map(),
    incarnations: new Map(),
    fencing: new Map(),
    backups: new Map(),
  };
  readonly #events: PlannedEvent[] = [];

  constructor(world: World, nowMs: number) {
    this.world = world;
    this.nowMs = nowMs;
  }

  get<K extends Kind>(kind: K, key: string): RecordOf[K] | undefined {
    const changes = this.#changes[kind];
    const changed = changes.size === 0 ? undefined : changes.get(key);
    if (changed !== undefined) return changed ?? undefined;
    return (this.world[kind] as ReadonlyMap<string, RecordOf[K]>).get(key);
  }

  /** All records of a kind, as they are now. */
  all<K extends Kind>(kind: K): IterableIterator<RecordOf[K]> {
    const records = this.world[kind] as ReadonlyMap<string, RecordOf[K]>;
    // Most passes change nothing of most kinds.
    return this.#changes[kind].size === 0 ? records.values() : this.#merged(kind, records);
  }

  *#merged<K extends Kind>(kind: K, records: ReadonlyMap<string, RecordOf[K]>): Generator<RecordOf[K]> {
    const changes = this.#changes[kind];
    for (const [key, record] of records) {
      const changed = changes.get(key);
      if (changed === undefined) yield record;
      else if (changed !== null) yield changed as RecordOf[K];
    }
    for (const [key, changed] of [...changes])
      if (changed !== null && !records.has(key)) yield changed as RecordOf[K];
  }

  put<K extends Kind>(kind: K, key: string, record: RecordOf[K]): void {
    (this.#changes[kind] as Map<string, RecordOf[K] | null>).set(key, record);
  }

  delete(kind: Kind, key: string): void {
    (this.#changes[kind] as Map<string, null>).set(key, null);
  }

  tell(kind: string, subject: string, message: string, data?: Readonly<Record<string, unknown>>): void {
    this.#events.push({ kind, subject, message, ...(data === undefined ? {} : { data }) });
  }

  writes(): Writes {
    const puts: { key: string; value: unknown }[] = [];
    const deletes: string[] = [];
    for (const kind of KINDS)
      for (const [key, record] of this.#changes[kind]) {
        const stored = (this.world[kind] as ReadonlyMap<string, unknown>).get(key);
        if (record === null) {
          if (stored !== undefined) deletes.push(PREFIXES[kind] + key);
        } else if (!isSameDocument(record, stored)) {
          puts.push({ key: PREFIXES[kind] + key, value: record });
        }
      }
    return { puts, deletes, events: this.#events };
  }
}
