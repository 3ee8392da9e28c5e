import type { MigrationFiles } from '../protocol/index.ts';
import type { DomainMark, RbdVolume } from './driver.ts';

export interface MigrationOrder {
  /** What it is marked with there. */
  readonly mark: DomainMark;
  /** Where its files are here, and there. */
  readonly from: MigrationFiles;
  readonly to: MigrationFiles;
  /** Unix sockets: libvirt's connection to the other libvirt, and QEMU's to the other QEMU, which listens on the same path there. */
  readonly control: string;
  readonly memory: string;
  /** Null: as fast as it goes. */
  readonly bandwidthMiBps: number | null;
  /**
   * The socket for its disk, of which the file that it writes is copied along, into one of the same size that is there already. It then
   * stands still there, whole, until it is let run on. Null: both hosts have the disk.
   */
  readonly disk: string | null;
  /** It stands still there until it is let run on, although both hosts have the disk; its mark says so meanwhile. */
  readonly standsStill: boolean;
}

export interface MigrationJob {
  /** `other`: something else works on the domain, such as a backup. */
  readonly kind: 'none' | 'migration' | 'other';
  readonly percent: number | null;
  /** Its memory is being sent: what its disk has to send was sent before, and goes on along. */
  readonly sendsMemory: boolean;
}

/**
 * Guests handed from host to host while they run. The hypervisor sees to it that one of both runs: the one there begins when the one
 * here has stood still, and the one here is gone when the one there runs. Names are libvirt's names of domains.
 * @throws WeftError as in `HypervisorDriver`.
 */
export interface MigrationDriver {
  /** Whom the guests' processes belong to; null: not known. */
  guestOwner(): Promise<{ readonly uid: number; readonly gid: number } | null>;
  /** Resolves when it runs there, or stands still there whole, and nothing of it is left here. When it throws, it is as it was, unless the connection was lost at the end. */
  migrate(domain: string, order: MigrationOrder): Promise<void>;
  /** Hands the hypervisor the key to the volume of a domain that comes here. */
  keepKey(volume: RbdVolume): Promise<void>;
  job(domain: string): Promise<MigrationJob>;
  /** Ends a migration that is under way, whoever began it. Does nothing when there is none. */
  abort(domain: string): Promise<void>;
  /** How a domain came here; null: it did not come by a migration, or that is not known any more. */
  arrival(domain: string): Promise<{ readonly downtimeMs: number; readonly totalMs: number } | null>;
}
