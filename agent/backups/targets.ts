import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolConfiguration } from '../disks/contract.ts';
import { markPool, requireMark } from '../disks/pool-mark.ts';
import { spaceAt } from '../disks/space.ts';
import { WeftError } from '../kit/errors.ts';
import { VM_ID_PATTERN } from '../kit/names.ts';
import { BACKUP_ID_PATTERN, type BackupTarget } from '../protocol/index.ts';

interface Target extends PoolConfiguration {
  /** Below it, a folder for each application. */
  readonly root: string;
  readonly isPool: boolean;
}

/**
 * Where backups lie: folders of agent.yaml's `backups`, and `backups/` in each pool. A folder is a target by the same mark that makes
 * a pool one: what is not mounted is not written to.
 */
export class BackupTargets {
  readonly #targets: ReadonlyMap<string, Target>;
  readonly #fleet: string;

  constructor(folders: readonly PoolConfiguration[], pools: readonly PoolConfiguration[], fleet: string) {
    this.#fleet = fleet;
    this.#targets = new Map(
      [
        ...pools.map((pool): Target => ({ ...pool, root: join(pool.path, 'backups'), isPool: true })),
        ...folders.map((folder): Target => ({ ...folder, root: folder.path, isPool: false })),
      ].map((target) => [target.name, target]),
    );
  }

  /** Marks the folders of this host alone as the fleet's. @throws WeftError `conflict` when one is another fleet's. */
  async prepare(): Promise<void> {
    for (const target of this.#targets.values()) {
      if (target.isPool || target.kind === 'shared') continue;
      await mkdir(target.path, { recursive: true, mode: 0o711 });
      await markPool(target, this.#fleet);
    }
  }

  /** Makes a folder that hosts share a target. For an operator, once. @returns its id; null: no folder is called so. */
  async init(name: string): Promise<string | null> {
    const target = this.#targets.get(name);
    if (!target || target.isPool) return null;
    return (await markPool(target, this.#fleet)).id;
  }

  /** Those beside the pools that can be used now. */
  async offers(): Promise<readonly BackupTarget[]> {
    const offers = [...this.#targets.values()]
      .filter(({ isPool }) => !isPool)
      .map(async (target): Promise<BackupTarget[]> => {
        try {
          const { id } = await requireMark(target, this.#fleet);
          const { freeMiB } = await spaceAt(target.path);
          return [{ name: target.name, kind: target.kind, id, freeMiB }];
        } catch {
          return [];
        }
      });
    return (await Promise.all(offers)).flat();
  }

  /** Roots of all that can be used now. */
  async roots(): Promise<readonly string[]> {
    const found = [...this.#targets.values()].map((target) =>
      requireMark(target, this.#fleet).then(
        () => [target.root],
        () => [],
      ),
    );
    return (await Promise.all(found)).flat();
  }

  /**
   * Folder of one backup, whether or not it is there.
   * @throws WeftError `not-found` when this host has no such target, or it is not mounted; `conflict` when it is another fleet's.
   */
  async folderOf({ target, vmId, id }: { target: string; vmId: string; id: string }): Promise<string> {
    const found = this.#targets.get(target);
    if (!found)
      throw new WeftError('not-found', `this host has no backup target ${target}`, {
        remedy: `It has ${[...this.#targets.keys()].join(', ')}; see backups in agent.yaml.`,
      });
    if (!VM_ID_PATTERN.test(vmId) || !BACKUP_ID_PATTERN.test(id))
      throw new WeftError('bad-request', `no backup is called ${vmId}/${id}`);
    await requireMark(found, this.#fleet);
    return join(found.root, vmId, id);
  }
}

/** QEMU runs as libvirt's own user and must be able to walk down to the file it writes, not to list what else is there. */
export async function makeWalkable(folder: string, levels: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  for (let path = folder, left = levels; left > 0; path = join(path, '..'), left--) await chmod(path, 0o711);
}
