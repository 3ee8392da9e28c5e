import type { Transaction } from '../../../controller/store/contract.ts';
import { Addresses } from './invariants/addresses.ts';
import { Capacity } from './invariants/capacity.ts';
import { Claims } from './invariants/claims.ts';
import { Departures } from './invariants/departures.ts';
import { DiskAges } from './invariants/disk-ages.ts';
import { DiskContents } from './invariants/disk-contents.ts';
import { Drained } from './invariants/drained.ts';
import { HandOvers } from './invariants/hand-overs.ts';
import { Incarnations } from './invariants/incarnations.ts';
import { LiveAddresses } from './invariants/live-addresses.ts';
import { MachinesOnOneHost } from './invariants/machines-on-one-host.ts';
import { Maintenance } from './invariants/maintenance.ts';
import { OneStorage } from './invariants/one-storage.ts';
import { Order } from './invariants/order.ts';
import { Proofs } from './invariants/proofs.ts';
import { RemoteGuests } from './invariants/remote-guests.ts';
import type { Commit, Fabric, Rule } from './invariants/rule.ts';
import { Records } from './records.ts';
import type { MachineDisk } from './simulated-disks.ts';
import type { SimulatedHost } from './simulated-host.ts';

/**
 * The invariants, checked in the transaction that may break one and at whatever begins or ends on a host: each over what has
 * changed, against what is remembered of the rest.
 */
export class Invariants {
  readonly records = new Records();
  readonly hosts: ReadonlyMap<string, SimulatedHost>;
  readonly #rules: readonly Rule[];
  readonly #ages: DiskAges;
  readonly contents: DiskContents;
  readonly #deletedByUser = new Set<string>();
  readonly #violations: string[] = [];
  /** Grows with every change of anything. */
  changes = 0;

  /** @param now virtual, Unix ms. */
  constructor(hosts: readonly SimulatedHost[], now: () => number) {
    this.hosts = new Map(hosts.map((host) => [host.name, host]));
    const fabric: Fabric = {
      records: this.records,
      hosts: this.hosts,
      violated: (what) => this.violated(what),
    };
    this.#ages = new DiskAges(fabric);
    this.contents = new DiskContents(fabric);
    this.#rules = [
      this.#ages,
      this.contents,
      new MachinesOnOneHost(fabric, this.contents),
      new HandOvers(fabric, this.contents),
      new Drained(fabric, now),
      ...[
        ...[Addresses, Departures, Incarnations, Proofs, Order, Capacity, Maintenance, Claims],
        ...[OneStorage, LiveAddresses, RemoteGuests],
      ].map((rule) => new rule(fabric)),
    ];
  }

  /** @returns what is wrong; empty: nothing. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  violated(what: string): void {
    this.#violations.push(what);
  }

  /** The highest incarnation of a machine that has had its disk; 0: none. */
  highestRun(vmId: string): number {
    return this.#ages.highest(vmId);
  }

  /** A user's delete, which is the one thing that lets machines' disks go. */
  allowDiskRemoval(ids: readonly string[]): void {
    for (const id of ids) this.#deletedByUser.add(id);
  }

  /** @param disk on a host's own pool; null: on one that hosts share. */
  diskRemoved(vmId: string, disk: MachineDisk | null): void {
    // Half a copy, or what it had before it went elsewhere: that is another matter.
    if (disk && !this.contents.isCurrent(vmId, disk) && disk.owner.copy !== 'whole') {
      this.contents.oldRemoved(vmId, disk);
      return;
    }
    if (!this.#deletedByUser.has(vmId)) this.violated(`the disk of ${vmId} went without a user’s delete`);
    for (const rule of this.#rules) rule.diskRemoved?.(vmId);
  }

  /** The store was lost: what it knew binds nobody any more. */
  forgetRecords(): void {
    for (const rule of this.#rules) rule.forgetRecords?.();
  }

  /** Everything of one transaction holds at once, so all of it is looked at together. */
  committed({ puts = [], deletes = [] }: Transaction, revision: number): void {
    this.changes++;
    for (const { key, value } of puts) this.records.set(key, value);
    for (const key of deletes) this.records.set(key, null);
    const commit = commitOf([...puts.map(({ key }) => key), ...deletes], revision);
    for (const rule of this.#rules) rule.committed?.(commit);
  }

  /** What runs or lies on a host has changed. */
  hostChanged(host: SimulatedHost): void {
    this.changes++;
    for (const rule of this.#rules) rule.hostChanged?.(host);
  }

  /** A host has put its goal's network in place. */
  networkApplied(host: SimulatedHost): void {
    this.changes++;
    for (const rule of this.#rules) rule.networkApplied?.(host);
  }
}

function commitOf(keys: readonly string[], revision: number): Commit {
  const [vms, hosts, claims] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const key of keys) {
    const name = key.slice(key.indexOf('/') + 1);
    if (key.startsWith('vms/')) vms.add(name);
    if (key.startsWith('claims/')) claims.add(name);
    if (key.startsWith('claims/') || key.startsWith('hosts/')) hosts.add(name);
  }
  return { vms, hosts, claims, revision };
}
