import type { BlobRef } from '../protocol/index.ts';

export interface PoolConfiguration {
  readonly name: string;
  readonly kind: 'local' | 'shared';
  readonly path: string;
}

/** A pool of a Ceph cluster: each disk is an image in it. Paths are of this host, names are Ceph's. */
export interface RbdPoolConfiguration {
  readonly name: string;
  readonly kind: 'rbd';
  readonly pool: string;
  /** Where the monitors are; QEMU reads it as well. */
  readonly conf: string;
  /** Without `client.`. */
  readonly user: string;
  /** The user's key, readable by root alone. */
  readonly keyring: string;
}

/** One pool as it is now. */
export interface PoolView {
  readonly name: string;
  readonly kind: PoolConfiguration['kind'] | RbdPoolConfiguration['kind'];
  /** Null while it cannot be used. */
  readonly id: string | null;
  readonly freeMiB: number;
  readonly totalMiB: number;
  /** Why it cannot be used, and what to do about it; null: it can. */
  readonly problem: string | null;
  /** Of an rbd pool: its cluster's fsid. */
  readonly cluster?: string;
  /** Of an rbd pool: Ceph takes no writes into it, whatever the figures are. */
  readonly isFull?: boolean;
}

/** An image that QEMU is to open, and how it gets at it. */
export interface RbdImage extends Omit<RbdPoolConfiguration, 'kind'> {
  readonly image: string;
}

/** A disk that is there. */
export interface MadeDisk {
  readonly path: string;
  readonly created: boolean;
  /** It lies on no backing file. */
  readonly whole?: boolean;
  /** It is no file. */
  readonly rbd?: RbdImage;
}

/** One VM's disk as it lies on this host. */
export interface DiskView {
  readonly pool: string;
  readonly path: string;
  readonly vmId: string;
  readonly kind: 'instance' | 'machine';
  /** Null for a machine: its disk outlives incarnations. */
  readonly incarnation: number | null;
  /** It was copied here (`DiskCopies`), for this incarnation. Absent: it was not, or is a disk like any other since. */
  readonly copy?: { readonly incarnation: number; readonly state: 'half' | 'whole' };
}

export interface DiskKey {
  readonly pool: string;
  readonly vmId: string;
  readonly kind: 'instance' | 'machine';
  readonly incarnation: number;
  /** The highest incarnation of a machine's that the controller ever had on its way to another host. Absent: it did not say. */
  readonly knownToLeave?: number;
}

/** What a machine's disk is to be made from, once, in place of an empty overlay or of what is there. */
export interface DiskSource {
  /** Remembered beside the disk when it is done: what was done is not done again. */
  readonly request: string;
  /** Writes the whole disk, checked and flushed, into a new file. */
  write(file: string): Promise<void>;
}

/** Overlays in pools. Every call is idempotent; a crash inside one leaves nothing that a later call mistakes for a whole disk. */
export interface Disks {
  /**
   * Marks the pools of this host alone as the fleet's. A pool that hosts share is never marked by itself: what is not mounted must not
   * be taken for one.
   * @throws WeftError `conflict` when a pool of this host alone carries another fleet's mark.
   */
  preparePools(fleet: string): Promise<void>;
  kindOf(pool: string): PoolView['kind'];
  path(key: DiskKey): string;
  /**
   * Makes the overlay on top of `backingFile` unless it is there already (a machine's disk is kept as it is), and writes down
   * that this host has it.
   * @param virtualSizeBytes at least the backing file's; grown when the size asks for more.
   * @param lastIncarnation of a machine: the last one known to have had the disk; 0: it has none yet.
   * @param source makes the disk, or replaces the one that is there, unless its request was carried out before.
   * @param below what `backingFile` lies on, nearest first: for a pool that keeps images itself.
   * @returns the path, whether it was made now, and whether it is whole: one made from a source lies on no backing file.
   * @throws WeftError `conflict` when the disk that is there lies on another file, is not the one that incarnation had, or is
   *   a newer incarnation's; `not-found` when that disk is not there at all, or the pool is not mounted.
   */
  ensureOverlay(
    key: DiskKey,
    backingFile: string,
    virtualSizeBytes: number,
    lastIncarnation?: number,
    source?: DiskSource | null,
    below?: readonly string[],
  ): Promise<MadeDisk>;
  /**
   * A machine that comes here while it runs would find its disk: as `ensureOverlay` checks it, and nothing is written.
   * @throws WeftError `conflict`, `not-found` as there; `no-capacity` where it could not be written down that it is here.
   */
  requireMachineDisk(key: DiskKey, lastIncarnation: number): Promise<void>;
  /** The image that a machine's disk is; null: it is a file. */
  rbdOf(key: DiskKey): RbdImage | null;
  /** Writes down that this host has a machine's disk, which a guest here has open already. @returns its path. */
  takeOver(key: DiskKey): Promise<string>;
  /** Removes an instance's overlay. Refuses a machine's. */
  discard(key: DiskKey): Promise<void>;
  /**
   * Removes a machine's disk. Only for a tombstone, or for one that works elsewhere with a copy.
   * @param upToIncarnation that of a later machine of this name, which another host may have made there meanwhile, stays.
   */
  destroyMachineDisk(pool: string, vmId: string, upToIncarnation?: number): Promise<void>;
  /**
   * All of ours, in all pools; in pools that hosts share, what this host had last.
   * @param also ids of VMs whose disks in shared pools are listed whoever had them last.
   */
  list(also?: ReadonlySet<string>): Promise<readonly DiskView[]>;
  pools(): Promise<readonly PoolView[]>;
}

/** The host's cache of blobs: fetched once however many ask, resumed after an interruption, never used before its digest was verified. */
export interface BlobCache {
  /** Absolute path of the verified file; `.qcow2` for layers so that AppArmor's helper and libvirt know them. */
  ensure(
    blob: BlobRef,
    kind: 'layer' | 'file',
    options: { signal: AbortSignal; onProgress?: (receivedBytes: number) => void },
  ): Promise<string>;
  /** Digests present and verified. */
  list(): Promise<readonly string[]>;
  /** Removes what is neither in `keep` nor in use by a fetch. */
  prune(keep: ReadonlySet<string>): Promise<readonly string[]>;
}
