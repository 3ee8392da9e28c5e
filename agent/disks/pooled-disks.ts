import type { DiskKey, DiskSource, Disks, DiskView, MadeDisk, PoolView, RbdImage } from './contract.ts';
import type { LocalDisks } from './local-disks.ts';
import type { RbdDisks } from './rbd/rbd-disks.ts';

/** All pools of a host, each asked in its own way. */
export class PooledDisks implements Disks {
  readonly #files: LocalDisks;
  /** Pools in Ceph. */
  readonly rbd: RbdDisks;

  constructor(files: LocalDisks, rbd: RbdDisks) {
    this.#files = files;
    this.rbd = rbd;
  }

  async preparePools(fleet: string): Promise<void> {
    await Promise.all([this.#files.preparePools(fleet), this.rbd.preparePools(fleet)]);
  }

  /** Makes a pool that hosts share one. For an operator, once. @returns its id. */
  initPool(name: string, fleet: string): Promise<string> {
    return this.#of(name).initPool(name, fleet);
  }

  kindOf(pool: string): PoolView['kind'] {
    return this.#of(pool).kindOf(pool);
  }

  path(key: DiskKey): string {
    return this.#of(key.pool).path(key);
  }

  ensureOverlay(
    key: DiskKey,
    backingFile: string,
    virtualSizeBytes: number,
    lastIncarnation?: number,
    source?: DiskSource | null,
    below?: readonly string[],
  ): Promise<MadeDisk> {
    const disks: Disks = this.#of(key.pool);
    return disks.ensureOverlay(key, backingFile, virtualSizeBytes, lastIncarnation, source, below);
  }

  requireMachineDisk(key: DiskKey, lastIncarnation: number): Promise<void> {
    return this.#of(key.pool).requireMachineDisk(key, lastIncarnation);
  }

  rbdOf(key: DiskKey): RbdImage | null {
    return this.#of(key.pool).rbdOf(key);
  }

  takeOver(key: DiskKey): Promise<string> {
    return this.#of(key.pool).takeOver(key);
  }

  discard(key: DiskKey): Promise<void> {
    return this.#of(key.pool).discard(key);
  }

  destroyMachineDisk(pool: string, vmId: string, upToIncarnation?: number): Promise<void> {
    return this.#of(pool).destroyMachineDisk(pool, vmId, upToIncarnation);
  }

  async list(also?: ReadonlySet<string>): Promise<readonly DiskView[]> {
    return (await Promise.all([this.#files.list(also), this.rbd.list(also)])).flat();
  }

  async pools(): Promise<readonly PoolView[]> {
    return (await Promise.all([this.#files.pools(), this.rbd.pools()])).flat();
  }

  #of(pool: string): LocalDisks | RbdDisks {
    return this.rbd.has(pool) ? this.rbd : this.#files;
  }
}
