import type { DiskFacts, MigrationDoor, MigrationFiles, MigrationWay } from '../../agent/protocol/index.ts';
import type { VmRecord } from './records.ts';

/**
 * How far a machine's hand-over to its successor's host is, while it runs.
 * `preparing`: that host makes ready; the machine's own host has not heard of it. `moving`: the machine's own host hands it over, and
 * starts nothing of it meanwhile. `stopping`: it is being given up; what has come about by then counts.
 */
export interface LiveMove {
  readonly state: 'preparing' | 'moving' | 'stopping';
  readonly sinceMs: number;
  /** Where its files are over there; null: not said yet. */
  readonly files: MigrationFiles | null;
  /** Where that host lets it in; absent: nowhere, it comes through the controller. */
  readonly direct?: MigrationDoor;
  /** Of `stopping`: why. */
  readonly reason: string | null;
  /** Of `stopping`: it was tried and failed, rather than called off. */
  readonly failed: boolean;
  /** Nothing of it is on the other host: it may run on here, where it stands still. */
  readonly resume: boolean;
  /** Its disk is copied along. `disk`: what that is like; null: its host has not said yet. Absent or null: both hosts have it. */
  readonly copy?: { readonly disk: DiskFacts | null } | null;
  /**
   * It stands still there, with the very disk that it has here, until this record says that it is there: no lock keeps two from writing that
   * disk. Absent: a lock does, and the hypervisor lets it run on there.
   */
  readonly standsStill?: boolean;
  /** How much of its disk is there, in steps of ten. Absent: not known. */
  readonly percent?: number;
  /** Since when nothing of it runs on its own host; null: something does, or that is not known. */
  readonly goneAtMs: number | null;
}

/** How a machine may leave its host. `auto`: while it runs where that is possible, else stopped. `live`: never stopped for it. `cold`: stopped. */
export type MoveMode = 'auto' | 'live' | 'cold';

/** A wish to move that cannot be judged yet. Told only while the wish is there. */
export interface MoveWait {
  /** Given up at this time, Unix ms. */
  readonly untilMs: number;
  readonly reason: string;
}

/** The last time it came from one host to another while it ran. */
export interface LastMove {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  /** How long the guest stood still, and how long all of it took; null: the hypervisor did not say. */
  readonly downtimeMs: number | null;
  readonly totalMs: number | null;
  /** Absent: the host did not say. */
  readonly way?: MigrationWay;
}

/** Two hosts may have it at this moment: nothing but the end of the hand-over decides whose it is. */
export const isHandedOver = ({ successor }: Pick<VmRecord, 'successor'>): boolean =>
  successor?.live != null && successor.live.state !== 'preparing';
