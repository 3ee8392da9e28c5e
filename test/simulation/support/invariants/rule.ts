import type { Records } from '../records.ts';
import type { SimulatedHost } from '../simulated-host.ts';

/** What rules look at, and whom they tell. */
export interface Fabric {
  readonly records: Records;
  readonly hosts: ReadonlyMap<string, SimulatedHost>;
  violated(what: string): void;
}

/** What one transaction has changed; the records are as they are after it. */
export interface Commit {
  /** Ids of VMs whose records were written or deleted. */
  readonly vms: ReadonlySet<string>;
  /** Names of hosts whose own records, or whose claims, were. */
  readonly hosts: ReadonlySet<string>;
  readonly claims: ReadonlySet<string>;
  /** The store's, of this transaction. */
  readonly revision: number;
}

/** One invariant: what has changed is checked against what is remembered of the rest. */
export interface Rule {
  committed?(commit: Commit): void;
  /** What runs or lies on a host has changed. */
  hostChanged?(host: SimulatedHost): void;
  /** A host has put its goal's network in place. */
  networkApplied?(host: SimulatedHost): void;
  /** The disk of a machine was removed, with its user's leave. */
  diskRemoved?(vmId: string): void;
  /** The store was lost: what it knew binds nobody any more. */
  forgetRecords?(): void;
}
