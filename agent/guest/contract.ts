import type { NetworkGoal, Step, TaskResult, VmGoal, VmSecrets } from '../protocol/index.ts';

/** Files of the NoCloud seed, path → content. The ISO is labelled `cidata`. */
export type SeedFiles = ReadonlyMap<string, string>;

export interface GuestProgress {
  /** `booting` until the first SSH command has run, `starting` until the readiness probe passes. */
  readonly phase: 'booting' | 'starting' | 'ready' | 'unready';
  /** The parts that the guest room times: `ssh` (a part of boot), and the steps startup, package, start. */
  readonly steps: readonly Step[];
  readonly tasks: readonly TaskResult[];
  /** Milliseconds from the call to the first SSH command done; null before. */
  readonly sshMs: number | null;
  /** Boots of this incarnation that this supervisor has seen. */
  readonly boots: number;
}

export interface SuperviseOptions {
  readonly vm: VmGoal;
  readonly network: NetworkGoal;
  readonly secrets: VmSecrets;
  readonly fleet: string;
  /** Absolute path of the verified package archive on this host; called only when the VM has a package. Runs in parallel with the boot. */
  readonly packageFile: () => Promise<string>;
  readonly onProgress: (progress: GuestProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * From a started domain to a ready instance, and then watching it: connects by SSH with short probes, runs what has not
 * run yet in this incarnation and guest boot (completion is stored inside the guest, so an agent restart repeats nothing),
 * keeps the role's process supervised, probes it. A guest that reboots is taken through its startup again.
 */
export interface GuestSupervisor {
  /**
   * Runs until the signal aborts (then resolves) or the VM has failed.
   * @throws WeftError `guest-unreachable` (no SSH within the limit), `task-failed` (startup, package or start), `invalid-package`.
   */
  supervise(options: SuperviseOptions): Promise<void>;
  /** A domain event that makes a probe worth trying at once (guest agent connected, reboot). */
  hint(vmId: string): void;
}
