import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { EventRecord } from '../model/records.ts';
import { derived } from './derived.ts';
import { listOf } from './listed-map.ts';
import { KINDS, type Kind, PREFIXES, type RecordOf, type World } from './world.ts';

const NONE: ReadonlyMap<string, never> = new Map<string, never>();

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
    certificates: new Map(),
    challenges: new Map(),
  };
  /** What `all` has answered since the last change of that kind. */
  readonly #all: { [K in Kind]: readonly RecordOf[K][] | null } = {
    applications: null,
    vms: null,
    hosts: null,
    claims: null,
    networks: null,
    tombstones: null,
    incarnations: null,
    fencing: null,
    backups: null,
    certificates: null,
    challenges: null,
  };
  readonly #events: PlannedEvent[] = [];
  /** Counts what was put and deleted. */
  changes = 0;

  constructor(world: World, nowMs: number) {
    this.world = world;
    this.nowMs = nowMs;
  }

  get<K extends Kind>(kind: K, key: string): RecordOf[K] | undefined {
    const changes = this.#changes[kind];
    const changed = changes.size === 0 ? undefined : changes.get(key);
    if (changed !== undefined) return changed ?? undefined;
    return this.#records(kind).get(key);
  }

  /** All records of a kind, as they are now; what is put afterwards is not among them. The same list as long as nothing of it changes. */
  all<K extends Kind>(kind: K): readonly RecordOf[K][] {
    const known = this.#all[kind];
    if (known) return known as readonly RecordOf[K][];
    const records = this.#merged(kind);
    (this.#all as Record<Kind, readonly unknown[]>)[kind] = records;
    return records;
  }

  /** What follows from all records of a kind, worked out again only when one of them has changed. @param workOut as in `derived`. */
  of<K extends Kind, T>(kind: K, workOut: (records: readonly RecordOf[K][]) => T): T {
    return derived(this.all(kind), workOut);
  }

  #records<K extends Kind>(kind: K): ReadonlyMap<string, RecordOf[K]> {
    return (this.world[kind] ?? NONE) as ReadonlyMap<string, RecordOf[K]>;
  }

  #merged<K extends Kind>(kind: K): readonly RecordOf[K][] {
    const records = this.#records(kind);
    const changes = this.#changes[kind];
    // Most passes change nothing of most kinds.
    if (changes.size === 0) return listOf(records);
    const merged: RecordOf[K][] = [];
    records.forEach((record, key) => {
      const changed = changes.get(key);
      if (changed === undefined) merged.push(record);
      else if (changed !== null) merged.push(changed as RecordOf[K]);
    });
    for (const [key, changed] of changes)
      if (changed !== null && !records.has(key)) merged.push(changed as RecordOf[K]);
    return merged;
  }

  put<K extends Kind>(kind: K, key: string, record: RecordOf[K]): void {
    this.changes++;
    this.#all[kind] = null;
    (this.#changes[kind] as Map<string, RecordOf[K] | null>).set(key, record);
  }

  delete(kind: Kind, key: string): void {
    this.changes++;
    this.#all[kind] = null;
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
        const stored: unknown = this.#records(kind).get(key);
        if (record === null) {
          if (stored !== undefined) deletes.push(PREFIXES[kind] + key);
        } else if (!isSameDocument(record, stored)) {
          puts.push({ key: PREFIXES[kind] + key, value: record });
        }
      }
    return { puts, deletes, events: this.#events };
  }
}
