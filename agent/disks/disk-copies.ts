import { randomBytes } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WeftError } from '../kit/errors.ts';
import { exists } from '../kit/exists.ts';
import { syncPath } from '../kit/sync-path.ts';
import type { DiskFacts } from '../protocol/index.ts';
import { readVirtualSize } from './backing-file.ts';
import type { DiskKey, Disks } from './contract.ts';
import { makeDiskFolder } from './disk-folder.ts';
import { createEmpty, createOverlay } from './make-disk.ts';
import { type Owner, ownerFile, readOwner, writeOwner } from './owner.ts';

/**
 * Disks of machines that go from one host's own pool to another's. What is written beside a copy says how far it is:
 * `half`: it was never run here, and its old host has the disk; `whole`: it is this host's for good, and its guest is yet to be let run
 * on; nothing: a disk like any other. It only ever goes forward, and each step is on the disk before anything is done that relies on it.
 */
export class DiskCopies {
  readonly #disks: Pick<Disks, 'path' | 'kindOf' | 'destroyMachineDisk'>;
  readonly #host: string;

  /** @param host this host's name. */
  constructor(disks: Pick<Disks, 'path' | 'kindOf' | 'destroyMachineDisk'>, host: string) {
    this.#disks = disks;
    this.#host = host;
  }

  /** What a disk that is to be copied is like. It may be in use. @throws WeftError `not-found`, `not-supported`. */
  async measure(key: DiskKey): Promise<DiskFacts> {
    this.#requireLocal(key.pool);
    const path = this.#disks.path(key);
    const found = await stat(path).catch(() => null);
    if (!found) throw new WeftError('not-found', `the disk of ${key.vmId} is not there: ${path}`);
    const owner = await readOwner(ownerFile('machine', path));
    return {
      virtualSizeBytes: await readVirtualSize(path),
      dataBytes: found.blocks * 512,
      restored: owner?.restored ?? null,
    };
  }

  /**
   * Makes an empty place for a disk that comes here. What an earlier try left of it goes: blocks of two tries are never mixed. To be called
   * only while no domain has it open.
   * @param backing what the copy lies on; of one that was restored from a backup there is nothing.
   * @throws WeftError `conflict` when a disk of that machine is here already.
   */
  async begin(key: DiskKey, backing: string, facts: DiskFacts): Promise<string> {
    this.#requireLocal(key.pool);
    const path = this.#disks.path(key);
    const owner = await readOwner(ownerFile('machine', path));
    if (((await exists(path)) && owner?.copy !== 'half') || (owner && owner.incarnation > key.incarnation))
      throw new WeftError('conflict', `a disk of ${key.vmId} is in pool ${key.pool} already`, {
        remedy: 'What is left of it from earlier goes when the machine is ready where it is: try again then.',
        details: { disk: path, owner },
      });
    await makeDiskFolder(path);
    // Before there is a disk: one without a word beside it would be taken for a whole one.
    await this.#write(path, {
      ...{ host: this.#host, incarnation: key.incarnation, copy: 'half' },
      ...(facts.restored === null ? {} : { restored: facts.restored }),
    });
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      if (facts.restored === null) await createOverlay(backing, temporary, facts.virtualSizeBytes);
      else await createEmpty(temporary, facts.virtualSizeBytes);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    return path;
  }

  /** All that was written into a copy is on the disk itself. */
  async flush(key: DiskKey): Promise<void> {
    const path = this.#disks.path(key);
    await syncPath(path);
    await syncPath(dirname(path));
  }

  /** It is this host's for good: what has to be true before its guest runs. Does nothing when that is written already. @throws WeftError `conflict` for another one's. */
  async keep(key: DiskKey): Promise<void> {
    const path = this.#disks.path(key);
    const owner = await this.#requireOwn(key, path);
    if (owner.copy === 'half') await this.#write(path, { ...owner, copy: 'whole' });
  }

  /** Its guest runs: a disk like any other. */
  async settle(key: DiskKey): Promise<void> {
    const path = this.#disks.path(key);
    const { copy, ...owner } = await this.#requireOwn(key, path);
    if (copy === 'half') throw new WeftError('internal', `${key.vmId} was let run on with half a copy`);
    if (copy === 'whole') await this.#write(path, owner);
  }

  /**
   * It has left with its machine: all of it stands on another host. Whose it is by now the controller decides, and has not before this is
   * written; one whose store is from before does not know, and must not start what is old here.
   */
  async noteLeft(key: DiskKey, left: NonNullable<Owner['left']>): Promise<void> {
    const path = this.#disks.path(key);
    const owner = await readOwner(ownerFile('machine', path));
    if (owner?.host !== this.#host || owner.incarnation !== key.incarnation) return;
    if (owner.left?.incarnation === left.incarnation) return;
    await this.#write(path, { ...owner, left });
  }

  /** A copy that came to nothing. What it has become meanwhile is looked at once more. */
  async dropHalf(pool: string, vmId: string, upToIncarnation: number): Promise<void> {
    const owner = await this.#ownerOf(pool, vmId);
    if (owner?.copy !== 'half' || owner.incarnation > upToIncarnation) return;
    await this.#disks.destroyMachineDisk(pool, vmId, upToIncarnation);
  }

  /** The disk of a machine that runs elsewhere with a copy of it. A newer one, or one that has come back since, stays. */
  async dropOld(pool: string, vmId: string, upToIncarnation: number): Promise<void> {
    this.#requireLocal(pool);
    const owner = await this.#ownerOf(pool, vmId);
    if (owner === null || owner.incarnation > upToIncarnation || owner.host !== this.#host) return;
    await this.#disks.destroyMachineDisk(pool, vmId, upToIncarnation);
  }

  #ownerOf(pool: string, vmId: string): Promise<Owner | null> {
    const path = this.#disks.path({ pool, vmId, kind: 'machine', incarnation: 1 });
    return readOwner(ownerFile('machine', path));
  }

  async #requireOwn(key: DiskKey, path: string): Promise<Owner> {
    const owner = await readOwner(ownerFile('machine', path));
    if (owner?.host === this.#host && owner.incarnation === key.incarnation) return owner;
    throw new WeftError('conflict', `the disk of ${key.vmId} is not that of incarnation ${key.incarnation}`, {
      details: { disk: path, owner },
    });
  }

  /** Nothing that follows may be on the disk before this is. */
  async #write(path: string, owner: Owner): Promise<void> {
    await writeOwner(ownerFile('machine', path), owner);
    await syncPath(dirname(path));
  }

  #requireLocal(pool: string): void {
    if (this.#disks.kindOf(pool) === 'local') return;
    throw new WeftError(
      'not-supported',
      `pool ${pool} is not this host's alone: no disk is copied from it, or to it`,
    );
  }
}
