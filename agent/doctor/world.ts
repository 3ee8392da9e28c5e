import type { DiskView, PoolConfiguration } from '../disks/contract.ts';
import type { Space } from '../disks/pool-watch.ts';
import type { CephLeftover } from '../disks/rbd/leftovers.ts';
import type { DomainView, NetworkView } from '../hypervisor/driver.ts';
import type { Bridge } from '../network/contract.ts';
import type { Goal, GuardState } from '../protocol/index.ts';

/** What of a disk image its header says. Null in its place: there is no such file. */
export interface ImageHeader {
  readonly isQcow2: boolean;
  /** As written in the header. */
  readonly backing: string | null;
  readonly sizeBytes: number;
}

export interface HalfMadeDisk {
  readonly pool: string;
  readonly path: string;
  readonly vmId: string;
  readonly modifiedMs: number;
  /** Who had the disk last, or is making it, as it is written beside it; null: it is not. */
  readonly owner: string | null;
}

/** Who had a disk last, written down where no disk is. */
export interface LoneOwner {
  readonly pool: string;
  readonly path: string;
  readonly vmId: string;
  /** Null: a machine's. */
  readonly incarnation: number | null;
  readonly modifiedMs: number;
  readonly owner: string | null;
}

export interface EmptyFolder {
  /** Null: below the folder of the VMs' seeds and logs. */
  readonly pool: string | null;
  readonly path: string;
  /** Null: an application's. */
  readonly vmId: string | null;
}

export interface SeedFile {
  readonly path: string;
  readonly vmId: string;
  readonly incarnation: number;
}

/** A file of the blob cache: whole, half arrived, or the seal of one. */
export interface BlobFile {
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly isWhole: boolean;
}

/** A host as the doctor sees it. Files and folders are listed only where names and marks are this fleet's. */
export interface DoctorWorld {
  readonly fleet: string;
  /** Its name. */
  readonly host: string;
  /** Null: none came since the agent's start. */
  readonly goal: Goal | null;
  /** Ids of the VMs that are worked on. */
  readonly busy: ReadonlySet<string>;
  /** Everybody's. */
  readonly domains: readonly DomainView[];
  /** Everybody's. */
  readonly networks: readonly NetworkView[];
  readonly disks: readonly DiskView[];
  readonly poolKinds: Readonly<Record<string, PoolConfiguration['kind']>>;
  /** Of each disk of ours, each file that a domain uses, and all that lie below. */
  readonly headers: ReadonlyMap<string, ImageHeader | null>;
  /** Paths of machines' disks that were made from a backup, as it is written beside them: they lie on no layer. */
  readonly restored: ReadonlySet<string>;
  readonly halfMade: readonly HalfMadeDisk[];
  readonly loneOwners: readonly LoneOwner[];
  readonly emptyFolders: readonly EmptyFolder[];
  readonly seeds: readonly SeedFile[];
  readonly blobFolder: string;
  readonly blobs: readonly BlobFile[];
  /** Blobs whose bytes were read again, and are others than their name says. */
  readonly damaged: ReadonlySet<string>;
  /** Everybody's. */
  readonly bridges: readonly Bridge[];
  /** nftables tables, of the families that a fleet may have one in. */
  readonly tables: readonly string[];
  /** Whether interfaces of the fleet's guests are on this host, whatever anybody knows of them. */
  readonly hasGuests: boolean;
  readonly spaces: readonly Space[];
  /** Of pools in Ceph. */
  readonly leftovers: readonly CephLeftover[];
  /** Absent: this host has none, and wants none. */
  readonly guard?: GuardState;
}

export interface DoctorLimits {
  /** Below this much, or a tenth of it all, space is low. */
  readonly lowSpaceMiB: number;
  /** Below this much, or 3 % of it all, there is none left. */
  readonly fullSpaceMiB: number;
}

/** A rule of the doctor. Pure. */
export type Rule<Result> = (world: DoctorWorld, nowMs: number, limits: DoctorLimits) => readonly Result[];
