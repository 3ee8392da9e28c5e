import type { DiskKey, Disks, DiskView, PoolView } from '../../../agent/disks/contract.ts';
import { isLater, type Owner } from '../../../agent/disks/owner.ts';
import { requireDisk } from '../../../agent/disks/require-disk.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Random } from './random.ts';
import { type Mount, RBD_POOL, SHARED_POOL, type SharedPool } from './shared-pool.ts';

/** A machine's disk on a host's own pool: what is written beside it, and what is in it. */
export interface MachineDisk {
  owner: Owner;
  /** Which of all the times that the machine began to run has written into it last; 0: none. Null: it is not whole. */
  written: number | null;
  /** The same of what was copied into it, and is not safe from a loss of power yet; null: nothing. */
  arriving: number | null;
}

/** What lies on a host's own pool; it outlives its power. */
export interface LocalPool {
  readonly disks: Map<string, DiskView>;
  /** By the ids of machines. */
  readonly machines: Map<string, MachineDisk>;
  /** No room for anything new. */
  full: boolean;
  /** Its host's doctor has seen it so. */
  wasFull: boolean;
}

export interface SimulatedDisksOptions {
  readonly host: string;
  readonly local: LocalPool;
  readonly mount: Mount;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: () => void;
  /** @param disk on the host's own pool; null: on one that hosts share. */
  readonly onMachineDiskRemoved: (vmId: string, disk: MachineDisk | null) => void;
  /** Breaks a rule on purpose: a disk is opened whoever has it. */
  readonly takesAnyDisk: boolean;
  /** Breaks a rule on purpose: what was copied is said to be safe, and is not. */
  readonly flushesNothing: boolean;
}

/** Pools in memory, under the rules of the real ones: who has a disk is written down, and only ever at a higher incarnation. */
export class SimulatedDisks implements Disks {
  readonly #options: SimulatedDisksOptions;

  constructor(options: SimulatedDisksOptions) {
    this.#options = options;
  }

  async preparePools(): Promise<void> {}

  kindOf(pool: string): 'local' | 'shared' | 'rbd' {
    return [SHARED_POOL, RBD_POOL].find(({ name }) => name === pool)?.kind ?? 'local';
  }

  path({ pool, vmId, kind, incarnation }: DiskKey): string {
    return kind === 'machine'
      ? `/${pool}/machines/${vmId}/disk.qcow2`
      : `/${pool}/roles/${vmId}/${incarnation}.qcow2`;
  }

  async ensureOverlay(key: DiskKey, _backingFile: string, _sizeBytes: number, lastIncarnation = 0) {
    await this.#work();
    const path = this.path(key);
    const { local } = this.#options;
    this.#requireStorage(key.pool);
    const isShared = this.#isShared(key);
    const present = isShared ? this.#shared.owners.has(key.vmId) : local.disks.has(path);
    if (key.kind === 'machine' && lastIncarnation > 0 && !present)
      throw new WeftError('not-found', `the disk of ${key.vmId} is not there`);
    if (!present && local.full && !isShared)
      throw new WeftError('command-failed', `${path}: no space left on device`);
    if (isShared) this.#takeShared(key, lastIncarnation);
    else if (key.kind === 'machine') this.#takeOwn(key, present, lastIncarnation);
    if (!isShared && !present) {
      const incarnation = key.kind === 'machine' ? null : key.incarnation;
      local.disks.set(path, { pool: key.pool, path, vmId: key.vmId, kind: key.kind, incarnation });
    }
    this.#options.onChange();
    await this.#work();
    return { path, created: !present };
  }

  async requireMachineDisk({ vmId, pool }: DiskKey, lastIncarnation = 0): Promise<void> {
    await this.#work();
    this.#requireStorage(pool);
    const owner = this.#shared.owners.get(vmId);
    if (!owner) throw new WeftError('not-found', `the disk of ${vmId} is not there`);
    if (owner.incarnation < lastIncarnation)
      throw new WeftError('conflict', `the disk of ${vmId} is an older one`);
  }

  rbdOf(): null {
    return null;
  }

  async takeOver(key: DiskKey): Promise<string> {
    this.#requireStorage(key.pool);
    const isShared = this.#isShared(key);
    const owner = this.#shared.owners.get(key.vmId);
    if (isShared && (owner?.host !== this.#options.host || owner.incarnation !== key.incarnation))
      this.#takeShared(key, 0);
    return this.path(key);
  }

  async discard(key: DiskKey): Promise<void> {
    if (key.kind === 'machine') throw new WeftError('forbidden', 'a machine’s disk is never discarded');
    await this.#work();
    this.#options.local.disks.delete(this.path(key));
    this.#options.onChange();
  }

  async destroyMachineDisk(pool: string, vmId: string, upToIncarnation?: number): Promise<void> {
    await this.#work();
    this.#requireStorage(pool);
    const { local, onChange, onMachineDiskRemoved } = this.#options;
    const isLocal = this.kindOf(pool) === 'local';
    const disk = isLocal ? (local.machines.get(vmId) ?? null) : null;
    const owner = isLocal ? disk?.owner : this.#shared.owners.get(vmId);
    if (isLater(owner ?? null, upToIncarnation)) return;
    const path = this.path({ pool, vmId, kind: 'machine', incarnation: 1 });
    const removed = isLocal ? local.disks.delete(path) : this.#shared.owners.delete(vmId);
    if (!removed) return;
    if (isLocal) local.machines.delete(vmId);
    onChange();
    onMachineDiskRemoved(vmId, disk);
  }

  async list(also: ReadonlySet<string> = new Set()): Promise<readonly DiskView[]> {
    const { local, host } = this.#options;
    const shared = this.#shared;
    const mine = [...shared.owners].filter(
      ([vmId, owner]) =>
        (owner.host === host || also.has(vmId)) &&
        (owner.pool === SHARED_POOL.name || !shared.blocked.has(host)),
    );
    return [
      ...withCopies(local),
      ...mine.map(([vmId, { pool }]): DiskView => {
        const key: DiskKey = { pool, vmId, kind: 'machine', incarnation: 1 };
        return { pool: key.pool, path: this.path(key), vmId, kind: 'machine', incarnation: null };
      }),
    ];
  }

  async pools(): Promise<readonly PoolView[]> {
    return [];
  }

  get #shared(): SharedPool {
    return this.#options.mount.storage;
  }

  #isShared({ kind, pool }: DiskKey): boolean {
    return kind === 'machine' && this.kindOf(pool) !== 'local';
  }

  /** As of files: with the words of the real ones. */
  #takeOwn(key: DiskKey, present: boolean, last: number): void {
    const { machines } = this.#options.local;
    const { host, takesAnyDisk } = this.#options;
    const found = machines.get(key.vmId);
    if (!takesAnyDisk)
      requireDisk(key, this.path(key), {
        ...{ owner: present ? (found?.owner ?? null) : null, present, last, shared: false },
      });
    const owner = { host, incarnation: key.incarnation };
    if (found) found.owner = owner;
    else machines.set(key.vmId, { owner, written: 0, arriving: null });
  }

  #requireStorage(pool: string): void {
    const { host } = this.#options;
    if (pool === RBD_POOL.name && this.#shared.blocked.has(host))
      throw new WeftError('host-unreachable', `pool ${pool} takes nothing from this host`);
  }

  #takeShared({ vmId, incarnation, pool }: DiskKey, lastIncarnation: number): void {
    const { host, takesAnyDisk } = this.#options;
    const shared = this.#shared;
    const owner = takesAnyDisk ? undefined : shared.owners.get(vmId);
    if (owner && owner.incarnation > incarnation)
      throw new WeftError('conflict', `the disk of ${vmId} is a newer incarnation’s`);
    if (!takesAnyDisk && lastIncarnation > 0 && (owner?.incarnation ?? 0) < lastIncarnation)
      throw new WeftError(
        'conflict',
        `the disk of ${vmId} is not the one that incarnation ${lastIncarnation} had`,
      );
    shared.owners.set(vmId, { host, incarnation, pool });
  }

  #work(): Promise<void> {
    return this.#options.clock.sleep(this.#options.random.between(1, 60));
  }
}

/** How far a disk is that was copied here. */
const withCopies = ({ disks, machines }: LocalPool): DiskView[] =>
  [...disks.values()].map((disk) => {
    const { copy, incarnation } = machines.get(disk.vmId)?.owner ?? {};
    const isCopy = disk.kind === 'machine' && copy !== undefined && incarnation !== undefined;
    return isCopy ? { ...disk, copy: { incarnation, state: copy } } : disk;
  });
