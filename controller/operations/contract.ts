import type { DeviceTest } from '../fencing/contract.ts';
import type { MoveMode } from '../model/live-move.ts';
import type { PlacementExplanation, Roll } from '../model/records.ts';
import type { PackageRef } from '../model/service.ts';
import type { DrainProgress } from './drain-progress.ts';

export interface PlanPreview {
  readonly steps: readonly {
    readonly action: 'create' | 'replace' | 'remove' | 'keep';
    readonly id: string;
    /** Where the new VM would go; null for what is removed, or kept and not placed. */
    readonly host: string | null;
    readonly reason: string;
  }[];
  /** VMs that no host can take, each with the reason per host. */
  readonly refusals: readonly { readonly id: string; readonly explanation: PlacementExplanation }[];
}

export interface DrainRequest {
  /** How machines may leave; absent: `auto`. */
  readonly mode?: MoveMode;
  /** Disks of machines on pools of one host's own may be copied along. */
  readonly copies?: boolean;
  /** Who asks. */
  readonly by?: string;
  /** Absent: it is not for a roll. */
  readonly roll?: Roll | undefined;
}

/** Packages of one model: path as written in it → what was uploaded for it. */
export type UploadedPackages = Readonly<Record<string, PackageRef>>;

/**
 * What a user can ask for. Each is one compare-and-set transaction on the store, tried again when something else wrote
 * in between; the reconciler does the rest.
 * @throws WeftError `invalid-model`, `not-found`, `conflict`, `not-supported`, `no-capacity` (apply and scale: more than the hosts can hold).
 */
export interface Operations {
  /** Creates or changes an application. The name in the source must be `app`. `changed` is false when the same model is applied again. */
  apply(
    app: string,
    source: string,
    packages: UploadedPackages,
  ): Promise<{ readonly generation: number; readonly changed: boolean }>;
  /** What `apply` would do; writes nothing. */
  plan(app: string, source: string, packages: UploadedPackages): Promise<PlanPreview>;
  scale(app: string, role: string, instances: number): Promise<{ readonly generation: number }>;
  deleteApplication(app: string): Promise<void>;
  /** A user's delete of one machine, when connections to it have ended: its disk goes too, by tombstone. Instances are refused: scale instead. */
  deleteMachine(id: string): Promise<void>;
  reboot(id: string): Promise<void>;
  /** A new incarnation on the same host. A machine is refused: its disk is kept. */
  reimage(id: string): Promise<void>;
  /**
   * An instance is made anew on another host, and goes from its own when the new one is ready. A machine on a pool that hosts share
   * goes there while it runs, or, where that cannot be and it may be, stopped. One on a `local` pool is refused, unless its disk may be copied along.
   */
  move(
    id: string,
    to: string | null,
    options?: { readonly mode?: MoveMode; readonly copies?: boolean },
  ): Promise<void>;
  /** What was asked for by `move` is given up, as far as it is not done. @throws WeftError `conflict` when nothing was asked for. */
  abortMove(id: string): Promise<void>;
  /** To drain a host that drains already tries again what has failed to leave. To undrain one is the end of it, wherever it is. */
  setDraining(host: string, draining: boolean, request?: DrainRequest): Promise<void>;
  /** @throws WeftError `not-found`. */
  drainProgress(host: string): Promise<DrainProgress>;
  /** The agent is to boot its host anew. @throws WeftError `conflict` unless it is up and in maintenance. */
  rebootHost(host: string): Promise<void>;
  /**
   * Asks for a backup of a machine that is on a host. @param to a backup target or pool of that host; null: the one of its schedule, or the
   * host's first.
   * @returns how the backup is named.
   */
  backup(id: string, to: string | null): Promise<{ readonly backup: string }>;
  /**
   * Asks for a backup to be read, and then restored. @param as a machine that is not there yet; null: in place, which discards what the
   * machine has now.
   */
  restore(backup: string, as: string | null): Promise<{ readonly request: string; readonly as: string }>;
  removeBackup(backup: string): Promise<void>;
  /**
   * An operator signs that a host that is down is dead: its machines on pools that other hosts share are restarted there.
   * @param by who signs. @throws WeftError `conflict` while it may be alive: its lease is held, or it is in session.
   */
  confirmDead(host: string, by: string): Promise<void>;
  /** Asks each fence device of a host for the power's state; changes nothing. @throws WeftError `conflict` when it has none. */
  fenceTest(host: string): Promise<readonly DeviceTest[]>;
  /**
   * Removes a host on which nothing is left, because it is in maintenance, or down; and revokes its certificate.
   * @param options `force`: also one that has machines on pools of its own, if it is proven to be dead. They are lost with it.
   */
  removeHost(host: string, options?: { readonly force?: boolean; readonly by?: string }): Promise<void>;
}
