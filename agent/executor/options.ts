import type { BlobCache, Disks } from '../disks/contract.ts';
import type { DiskCopies } from '../disks/disk-copies.ts';
import type { GuestSupervisor } from '../guest/contract.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { HostNetwork } from '../network/contract.ts';
import type { ControllerLink } from '../session/contract.ts';
import type { readConsoleTail } from './console-tail.ts';
import type { Landings } from './landings.ts';
import type { AgentPaths } from './paths.ts';
import type { plan } from './plan.ts';
import type { ProvisionDependencies } from './provision.ts';
import type { VmFolders } from './vm-folders.ts';

export interface ExecutorOptions {
  readonly fleet: string;
  readonly driver: HypervisorDriver;
  readonly disks: Disks;
  /** Absent: no disk is copied to, or from, this host. */
  readonly copies?: DiskCopies;
  /** Of guests that come with their disks. */
  readonly landings?: Landings;
  readonly cache: BlobCache;
  readonly network: HostNetwork;
  readonly guest: GuestSupervisor;
  readonly link: ControllerLink;
  readonly seed: Pick<ProvisionDependencies, 'composeSeed' | 'writeSeedIso'>;
  readonly paths: AgentPaths;
  readonly folders: VmFolders;
  readonly readBackup?: ProvisionDependencies['readBackup'];
  readonly clock: Clock;
  readonly log: Logger;
  /** How long an instance of ours that the goal does not name is left in quarantine. */
  readonly reapAfterMs: number;
  /** VMs worked on at once. */
  readonly parallel: number;
  /** A guest whose probe fails for so long, after it had passed, is started again. */
  readonly unreadyLimitMs: number;
  /** Guests that boot at once. */
  readonly boots: number;
  /** Of a host with a guard; absent: machines need no lease. */
  readonly lease?: HostLease;
  /** What is reported has changed. */
  readonly onChange: () => void;
  /** Another planner in place of the real one. */
  readonly plan?: typeof plan;
  /** Another reader of console logs in place of the real one. */
  readonly readConsole?: typeof readConsoleTail;
}

/** Without it a host with a guard starts no machine on a pool that it shares. */
export interface HostLease {
  readonly sharedPools: ReadonlySet<string>;
  isHeld(): boolean;
  /** Whether the guard stopped this domain; each time is told once. */
  takeStopped(domain: string): boolean;
}

/** Shared pools whose machines must not be started now. */
export const withoutLease = (lease: HostLease | undefined): ReadonlySet<string> =>
  lease && !lease.isHeld() ? lease.sharedPools : new Set();
