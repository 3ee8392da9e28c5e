import type { DiskKey } from '../../../agent/disks/contract.ts';
import { DiskCopies } from '../../../agent/disks/disk-copies.ts';
import type { Owner } from '../../../agent/disks/owner.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { DiskFacts } from '../../../agent/protocol/index.ts';
import type { MachineDisk, SimulatedDisks, SimulatedDisksOptions } from './simulated-disks.ts';

const FACTS: DiskFacts = { virtualSizeBytes: 2 ** 28, dataBytes: 2 ** 22, restored: null };

/** Copies of machines' disks in memory, under the rules of the real ones; what is written beside a disk outlives the host's power. */
export class SimulatedCopies extends DiskCopies {
  readonly #disks: SimulatedDisks;
  readonly #options: SimulatedDisksOptions;

  constructor(disks: SimulatedDisks, options: SimulatedDisksOptions) {
    super(disks, options.host);
    this.#disks = disks;
    this.#options = options;
  }

  override async measure({ vmId }: DiskKey): Promise<DiskFacts> {
    await this.#work();
    if (this.#options.local.machines.has(vmId)) return FACTS;
    throw new WeftError('not-found', `the disk of ${vmId} is not there`);
  }

  override async begin(key: DiskKey): Promise<string> {
    const { local, host, onChange } = this.#options;
    const path = this.#disks.path(key);
    await this.#work();
    const there = local.machines.get(key.vmId)?.owner;
    if (there && (there.copy !== 'half' || there.incarnation > key.incarnation))
      throw new WeftError('conflict', `a disk of ${key.vmId} is in pool ${key.pool} already`);
    if (!there && local.full) throw new WeftError('command-failed', `${path}: no space left on device`);
    const owner: Owner = { host, incarnation: key.incarnation, copy: 'half' };
    local.machines.set(key.vmId, { owner, written: null, arriving: null });
    const { pool, vmId, kind } = key;
    local.disks.set(path, { pool, path, vmId, kind, incarnation: null });
    onChange();
    await this.#work();
    return path;
  }

  override async flush({ vmId }: DiskKey): Promise<void> {
    const disk = this.#options.local.machines.get(vmId);
    await this.#work();
    // The power may have been cut since.
    if (!disk || disk.arriving === null || this.#options.flushesNothing) return;
    disk.written = disk.arriving;
    disk.arriving = null;
    this.#options.onChange();
  }

  override async keep(key: DiskKey): Promise<void> {
    await this.#work();
    const disk = this.#requireOwn(key);
    if (disk.owner.copy === 'half') disk.owner = { ...disk.owner, copy: 'whole' };
    await this.#work();
  }

  override async settle(key: DiskKey): Promise<void> {
    await this.#work();
    const disk = this.#requireOwn(key);
    const { copy, ...owner } = disk.owner;
    if (copy === 'half') throw new WeftError('internal', `${key.vmId} was let run on with half a copy`);
    disk.owner = owner;
    this.#options.onChange();
    await this.#work();
  }

  override async noteLeft({ vmId, incarnation }: DiskKey, left: NonNullable<Owner['left']>): Promise<void> {
    const { local, host } = this.#options;
    await this.#work();
    const disk = local.machines.get(vmId);
    if (disk?.owner.host !== host || disk.owner.incarnation !== incarnation) return;
    disk.owner = { ...disk.owner, left };
  }

  override async dropHalf(pool: string, vmId: string, upToIncarnation: number): Promise<void> {
    const owner = this.#options.local.machines.get(vmId)?.owner;
    if (owner?.copy !== 'half' || owner.incarnation > upToIncarnation) return;
    await this.#disks.destroyMachineDisk(pool, vmId);
  }

  override async dropOld(pool: string, vmId: string, upToIncarnation: number): Promise<void> {
    const { local, host } = this.#options;
    const owner = local.machines.get(vmId)?.owner;
    if (!owner || owner.incarnation > upToIncarnation || owner.host !== host) return;
    await this.#disks.destroyMachineDisk(pool, vmId);
  }

  #requireOwn({ vmId, incarnation }: DiskKey): MachineDisk {
    const { local, host } = this.#options;
    const disk = local.machines.get(vmId);
    if (disk?.owner.host === host && disk.owner.incarnation === incarnation) return disk;
    throw new WeftError('conflict', `the disk of ${vmId} is not that of incarnation ${incarnation}`);
  }

  /** A process may be killed on either side of what it does. */
  #work(): Promise<void> {
    return this.#options.clock.sleep(this.#options.random.between(1, 60));
  }
}
