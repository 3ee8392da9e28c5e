import type { VmRecord } from '../model/records.ts';
import type { Change, Entry } from '../store/contract.ts';
import { ListedMap } from './listed-map.ts';
import { KINDS, type Kind, PREFIXES, type RecordOf } from './world.ts';

/** The store's records in memory, kept up to date by its watch: a pass reads nothing from disk. */
export class WorldCache {
  readonly #revisions = new Map<string, number>();
  readonly #records: { readonly [K in Kind]: ListedMap<RecordOf[K]> } = {
    applications: new ListedMap(),
    vms: new ListedMap(),
    hosts: new ListedMap(),
    claims: new ListedMap(),
    networks: new ListedMap(),
    tombstones: new ListedMap(),
    incarnations: new ListedMap(),
    fencing: new ListedMap(),
    backups: new ListedMap(),
    certificates: new ListedMap(),
    challenges: new ListedMap(),
  };
  /** Host → the VMs that are, or are to be, on it. */
  readonly #vmsOn = new Map<string, Set<string>>();
  /** Revision up to which everything is in here. */
  revision = 0;

  load(entries: readonly Entry[], revision: number): void {
    for (const entry of entries) this.#set(entry.key, entry.value, entry.revision);
    this.revision = revision;
  }

  /** @returns the records that changed, as they were and are. */
  apply(changes: readonly Change[]): readonly { kind: Kind; key: string; before: unknown; after: unknown }[] {
    const changed = [];
    for (const change of changes) {
      const place = placeOf(change.key);
      if (place) {
        const before = this.#records[place.kind].get(place.key);
        this.#set(change.key, change.value, change.revision);
        changed.push({ ...place, before, after: change.value ?? undefined });
      }
      this.revision = Math.max(this.revision, change.revision);
    }
    return changed;
  }

  records<K extends Kind>(kind: K): ReadonlyMap<string, RecordOf[K]> {
    return this.#records[kind] as ReadonlyMap<string, RecordOf[K]>;
  }

  /** The VMs that are on a host, and those whose successors are. */
  vmsOn(host: string): readonly VmRecord[] {
    const vms: VmRecord[] = [];
    for (const id of this.#vmsOn.get(host) ?? []) {
      const vm = this.#records.vms.get(id);
      if (vm) vms.push(vm);
    }
    return vms;
  }

  /** Store revision of a key; 0: it is not there. */
  revisionOf(storeKey: string): number {
    return this.#revisions.get(storeKey) ?? 0;
  }

  #follow(id: string, vm: VmRecord | null): void {
    for (const host of hostsOf(this.#records.vms.get(id))) this.#vmsOn.get(host)?.delete(id);
    for (const host of hostsOf(vm)) this.#vmsOn.set(host, (this.#vmsOn.get(host) ?? new Set()).add(id));
  }

  #set(storeKey: string, value: unknown, revision: number): void {
    const place = placeOf(storeKey);
    if (!place) return;
    const records = this.#records[place.kind] as Map<string, unknown>;
    if (place.kind === 'vms') this.#follow(place.key, value as VmRecord | null);
    if (value === null) {
      this.#revisions.delete(storeKey);
      records.delete(place.key);
    } else {
      this.#revisions.set(storeKey, revision);
      records.set(place.key, value);
    }
  }
}

/** Where a VM is, and where it is to be. */
const hostsOf = (vm: VmRecord | null | undefined): readonly string[] =>
  [vm?.host, vm?.successor?.host].filter((host) => typeof host === 'string');

function placeOf(storeKey: string): { kind: Kind; key: string } | null {
  for (const kind of KINDS)
    if (storeKey.startsWith(PREFIXES[kind])) return { kind, key: storeKey.slice(PREFIXES[kind].length) };
  return null;
}
