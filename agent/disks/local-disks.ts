import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { entriesOf } from '../kit/entries.ts';
import { WeftError } from '../kit/errors.ts';
import { exists } from '../kit/exists.ts';
import { NAME_PATTERN, VM_ID_PATTERN } from '../kit/names.ts';
import { readBackingFile } from './backing-file.ts';
import type { DiskKey, DiskSource, Disks, DiskView, PoolConfiguration, PoolView } from './contract.ts';
import { makeDiskFolder } from './disk-folder.ts';
import { createOverlay, writeWhole } from './make-disk.ts';
import { isLater, ownerFile, readOwner, writeOwner } from './owner.ts';
import { markPool, requireMark } from './pool-mark.ts';
import { requireDisk, requireNotSuperseded } from './require-disk.ts';
import { spaceAt } from './space.ts';

const INSTANCE_DISK = /^([1-9][0-9]{0,14})\.qcow2$/;

/** Overlays as files in folders: pools of kind `local` and `shared`. */
export class LocalDisks implements Disks {
  readonly #pools: ReadonlyMap<string, PoolConfiguration>;
  readonly #host: string;
  #fleet = '';

  /** @param host this host's name. */
  constructor(pools: readonly PoolConfiguration[], host: string) {
    this.#host = host;
    this.#pools = new Map(pools.map((pool) => [pool.name, pool]));
  }

  async preparePools(fleet: string): Promise<void> {
    this.#fleet = fleet;
    for (const pool of this.#pools.values()) {
      if (pool.kind === 'shared') continue;
      await mkdir(pool.path, { recursive: true });
      await markPool(pool, fleet);
      await makeFolders(pool);
    }
  }

  /** Makes the folder of a pool that hosts share one. For an operator, once. @returns its id. */
  async initPool(name: string, fleet: string): Promise<string> {
    const pool = this.#pool(name);
    const { id } = await markPool(pool, fleet);
    await makeFolders(pool);
    return id;
  }

  kindOf(pool: string): PoolConfiguration['kind'] {
    return this.#pool(pool).kind;
  }

  path(key: DiskKey): string {
    const pool = this.#pool(key.pool);
    if (!VM_ID_PATTERN.test(key.vmId)) throw new WeftError('bad-request', `no VM is called ${key.vmId}`);
    return key.kind === 'machine'
      ? join(pool.path, 'machines', key.vmId, 'disk.qcow2')
      : join(pool.path, 'roles', key.vmId, `${key.incarnation}.qcow2`);
  }

  async ensureOverlay(
    key: DiskKey,
    backingFile: string,
    virtualSizeBytes: number,
    lastIncarnation = 0,
    source: DiskSource | null = null,
  ): Promise<{ path: string; created: boolean; whole?: boolean }> {
    const path = this.path(key);
    const pool = this.#pool(key.pool);
    if (pool.kind === 'shared') await requireMark(pool, this.#fleet);
    const present = await exists(path);
    const owner = key.kind === 'machine' ? await readOwner(ownerFile('machine', path)) : null;
    const restored = owner?.restored;
    const due = source !== null && source.request !== restored;
    const whole = due || restored !== undefined;
    if (present && !due) await checkBacking(key.vmId, path, whole ? null : backingFile);
    if (key.kind === 'machine')
      // What is to be replaced may be missing.
      requireDisk(key, path, {
        owner: present ? owner : null,
        present,
        last: due ? 0 : lastIncarnation,
        shared: pool.kind === 'shared',
      });
    await makeDiskFolder(path);
    // Before it is opened.
    if (key.kind === 'machine' || pool.kind === 'shared') await this.#own(key, path, restored);
    if (present && !due) return { path, created: false, ...(whole ? { whole } : {}) };
    // The name appears only when the overlay is whole; what a crash leaves ends in `.tmp` and goes with its folder.
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      if (due) await writeWhole(source, temporary, virtualSizeBytes);
      else await createOverlay(backingFile, temporary, virtualSizeBytes);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    // After the disk: a crash in between makes it once more, before any guest has seen it.
    if (due) await this.#own(key, path, source.request);
    return { path, created: true, ...(whole ? { whole } : {}) };
  }

  async requireMachineDisk(key: DiskKey, lastIncarnation: number): Promise<void> {
    const path = this.path(key);
    const pool = this.#pool(key.pool);
    const shared = pool.kind === 'shared';
    if (shared) await requireMark(pool, this.#fleet);
    const owner = await readOwner(ownerFile('machine', path));
    // One that was never opened has no place to come from.
    requireDisk(key, path, {
      owner,
      present: await exists(path),
      last: Math.max(1, lastIncarnation),
      shared,
    });
  }

  rbdOf(): null {
    return null;
  }

  async takeOver(key: DiskKey): Promise<string> {
    const path = this.path(key);
    const owner = await readOwner(ownerFile('machine', path));
    requireNotSuperseded(key, path, owner);
    if (owner?.host !== this.#host || owner.incarnation !== key.incarnation)
      await this.#own(key, path, owner?.restored);
    return path;
  }

  async discard(key: DiskKey): Promise<void> {
    if (key.kind === 'machine')
      throw new WeftError('forbidden', `the disk of machine ${key.vmId} is kept until a user deletes it`);
    const path = this.path(key);
    await rm(path, { force: true });
    await rm(ownerFile('instance', path), { force: true });
    await removeEmpty(dirname(path), 2);
  }

  async destroyMachineDisk(pool: string, vmId: string, upToIncarnation?: number): Promise<void> {
    const path = this.path({ pool, vmId, kind: 'machine', incarnation: 1 });
    if (isLater(await readOwner(ownerFile('machine', path)), upToIncarnation)) return;
    const folder = dirname(path);
    await rm(folder, { recursive: true, force: true });
    await removeEmpty(dirname(folder), 1);
  }

  async list(also: ReadonlySet<string> = new Set()): Promise<readonly DiskView[]> {
    const found: DiskView[] = [];
    for (const pool of this.#pools.values()) {
      for (const kind of ['roles', 'machines'] as const) {
        for (const app of await names(join(pool.path, kind))) {
          for (const name of await names(join(pool.path, kind, app))) {
            const folder = join(pool.path, kind, app, name);
            const disks = await this.#disksOf(pool.name, kind, `${app}/${name}`, folder);
            found.push(...(await (pool.kind === 'shared' ? this.#mine(disks, also) : withCopies(disks))));
          }
        }
      }
    }
    return found;
  }

  pools(): Promise<readonly PoolView[]> {
    return Promise.all([...this.#pools.values()].map((pool) => this.#view(pool)));
  }

  async #view(pool: PoolConfiguration): Promise<PoolView> {
    const { name, kind } = pool;
    try {
      const { id } = await requireMark(pool, this.#fleet);
      return { name, kind, id, ...(await spaceAt(pool.path)), problem: null };
    } catch (thrown) {
      const { message, remedy } = WeftError.from(thrown);
      const problem = `pool ${name} cannot be used: ${message}${remedy ? `. ${remedy}` : ''}`;
      return { name, kind, id: null, freeMiB: 0, totalMiB: 0, problem };
    }
  }

  /** Other hosts' disks lie in a shared pool as well. */
  async #mine(disks: readonly DiskView[], also: ReadonlySet<string>): Promise<readonly DiskView[]> {
    const owners = await Promise.all(disks.map(({ kind, path }) => readOwner(ownerFile(kind, path))));
    return disks.filter(({ vmId }, index) => owners[index]?.host === this.#host || also.has(vmId));
  }

  async #disksOf(
    pool: string,
    kind: 'roles' | 'machines',
    vmId: string,
    folder: string,
  ): Promise<DiskView[]> {
    const views: DiskView[] = [];
    for (const file of await entriesOf(folder)) {
      const path = join(folder, file.name);
      const incarnation = INSTANCE_DISK.exec(file.name)?.[1];
      if (kind === 'machines' && file.name === 'disk.qcow2')
        views.push({ pool, path, vmId, kind: 'machine', incarnation: null });
      else if (kind === 'roles' && incarnation !== undefined)
        views.push({ pool, path, vmId, kind: 'instance', incarnation: Number(incarnation) });
    }
    return views;
  }

  /** Whoever looks at the pool knows whose it is. */
  #own({ kind, incarnation }: DiskKey, path: string, restored: string | undefined): Promise<void> {
    return writeOwner(ownerFile(kind, path), { host: this.#host, incarnation, restored });
  }

  #pool(name: string): PoolConfiguration {
    const pool = this.#pools.get(name);
    if (pool) return pool;
    throw new WeftError('not-found', `this host has no pool ${name}`, {
      remedy: `It offers ${[...this.#pools.keys()].join(', ') || 'none'}; see pools in agent.yaml.`,
    });
  }
}

/** How far a disk is that was copied here. */
const withCopies = (disks: readonly DiskView[]): Promise<readonly DiskView[]> =>
  Promise.all(
    disks.map(async (disk) => {
      const owner = disk.kind === 'machine' ? await readOwner(ownerFile('machine', disk.path)) : null;
      return owner?.copy ? { ...disk, copy: { incarnation: owner.incarnation, state: owner.copy } } : disk;
    }),
  );

/** QEMU runs as libvirt's own user and must be able to walk down to its files, not to list them. */
async function makeFolders(pool: PoolConfiguration): Promise<void> {
  for (const folder of ['', 'roles', 'machines']) {
    await mkdir(join(pool.path, folder), { recursive: true });
    await chmod(join(pool.path, folder), 0o711);
  }
}

/** A disk on another layer than its own would be a heap of blocks of two images. */
async function checkBacking(vmId: string, path: string, wanted: string | null): Promise<void> {
  const found = await readBackingFile(path);
  if (found === wanted) return;
  throw new WeftError(
    'conflict',
    `the disk of ${vmId} lies on ${found === null ? 'no layer' : basename(found)}, not on ${wanted === null ? 'none, as what was restored does' : basename(wanted)}`,
    {
      remedy:
        'Import the image version again that it was made from, and name that one in the model; the disk is kept.',
      details: { disk: path, found, wanted },
    },
  );
}

/** Folders that could be ours by name; anything else in a pool is left alone. */
const names = async (folder: string) =>
  (await entriesOf(folder))
    .filter(
      (entry) =>
        entry.isDirectory() && (NAME_PATTERN.test(entry.name) || VM_ID_PATTERN.test(`a/${entry.name}`)),
    )
    .map((entry) => entry.name);

/** Removes a folder and its parents while they are empty, at most `levels` of them. */
async function removeEmpty(folder: string, levels: number): Promise<void> {
  for (let path = folder, left = levels; left > 0; path = dirname(path), left--) {
    const gone = await rmdir(path).then(
      () => true,
      () => false,
    );
    if (!gone) return;
  }
}
