import { lstat, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BlobCache, PoolConfiguration } from '../disks/contract.ts';
import { readPoolOwner } from '../disks/pool-mark.ts';
import type { RbdDisks } from '../disks/rbd/rbd-disks.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import { WeftError } from '../kit/errors.ts';
import { VM_ID_PATTERN } from '../kit/names.ts';
import type { HostLinks, HostNetwork } from '../network/contract.ts';
import { isBridgeOf, tableName } from '../network/names.ts';
import { isRouting } from '../network/router-part.ts';
import type { Goal } from '../protocol/index.ts';
import type { Repair, RepairArguments, RepairKind } from './findings.ts';
import { diskOf, HALF_MADE, OWNER, ownerOf } from './look/look-at-pools.ts';

export interface RepairOptions {
  readonly fleet: string;
  /** This host's name, as it is written beside disks. */
  readonly host: string;
  readonly pools: readonly PoolConfiguration[];
  readonly paths: { readonly run: string };
  readonly driver: Pick<HypervisorDriver, 'listNetworks'>;
  readonly cache: Pick<BlobCache, 'prune'>;
  /** Absent: this host has no pools in Ceph. */
  readonly ceph?: Pick<RbdDisks, 'removeLeftover'>;
  readonly links: Pick<HostLinks, 'bridges' | 'hasGuests' | 'removeBridge'>;
  readonly network: Pick<HostNetwork, 'apply' | 'remove'>;
  readonly goal: () => Goal | null;
  /** Digests of blobs that are in the cache now, whole or not, and those that are needed. */
  readonly blobs: () => Promise<{ present: Iterable<string>; needed: Iterable<string> }>;
}

type Repairs = { readonly [Kind in RepairKind]: (repair: RepairArguments[Kind]) => Promise<void> };

/**
 * Does what findings ask for. Whatever is removed is shown to be ours once more in this moment: the pool by its mark, a file by
 * the only names that the agent gives, a bridge by its name and by what libvirt knows of it.
 */
export class Repairer {
  readonly #options: RepairOptions;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** @throws WeftError `forbidden` when it is not, or no longer, ours to remove. */
  do(repair: Repair): Promise<void> {
    // The kind picks the repair of its own arguments; the compiler cannot follow a union through the table.
    return (this.#repairs[repair.kind] as (repair: Repair) => Promise<void>)(repair);
  }

  readonly #repairs: Repairs = {
    'remove-half-made': async ({ pool, path }) => {
      await this.#requireOurs(pool, path, HALF_MADE);
      await rm(path);
    },
    'remove-lone-owner': async ({ pool, path }) => {
      const { kind, disk } = await this.#requireOurs(pool, path, OWNER);
      const isThere = (await lstat(disk).catch(() => null)) !== null;
      // Another host may write it at any moment.
      if (isThere || (kind === 'machines' && this.#isShared(pool))) throw notOurs(path);
      await rm(path);
    },
    'remove-seed': async ({ vmId, incarnation, path }) => {
      const wanted = join(this.#options.paths.run, vmId, `seed-${incarnation}.iso`);
      if (!VM_ID_PATTERN.test(vmId) || path !== wanted || !(await lstat(path)).isFile()) throw notOurs(path);
      await rm(path);
    },
    // The kernel itself refuses a folder that is not empty.
    'remove-empty-folder': async ({ pool, path }) => {
      const roots =
        pool === null
          ? [this.#options.paths.run]
          : [await this.#poolOfOurs(pool)].flatMap((root) => [join(root, 'roles'), join(root, 'machines')]);
      const isOurs = (root: string) => isOfVm(root, path) || isOfVm(root, join(path, 'any'));
      if (!roots.some(isOurs)) throw notOurs(path);
      await rmdir(path);
    },
    'remove-blob': async ({ digest }) => {
      const { present, needed } = await this.#options.blobs();
      const keep = new Set([...present].filter((each) => each !== digest));
      for (const each of needed) keep.add(each);
      if (keep.has(digest)) throw notOurs(digest);
      await this.#options.cache.prune(keep);
    },
    // Ceph itself refuses what something lies on.
    'remove-image': async ({ of, ...image }) => {
      const { ceph } = this.#options;
      if (await ceph?.removeLeftover({ ...image, kind: of })) return;
      throw new WeftError('conflict', `a disk lies on ${image.image} in pool ${image.pool}`);
    },
    'remove-bridge': async ({ bridge }) => {
      const { fleet, driver, links } = this.#options;
      const found = (await links.bridges()).find(({ name }) => name === bridge && isBridgeOf(fleet, name));
      const isTaken = (await driver.listNetworks()).some((network) => network.bridge === bridge);
      if (!found || found.ports.length > 0 || isTaken) throw notOurs(bridge);
      await links.removeBridge(bridge);
    },
    'remove-table': async ({ table }) => {
      const { fleet, links, network, goal } = this.#options;
      if (table !== tableName(fleet) || (await links.hasGuests(fleet))) throw notOurs(table);
      await network.remove(fleet);
      // A goal that came meanwhile has its table again.
      const wanted = goal();
      if (wanted && (wanted.networks.length > 0 || isRouting(wanted))) await network.apply(wanted);
    },
  };

  /** Of a file that only the agent names so; in a pool that hosts share, of a disk that this host had last. */
  async #requireOurs(pool: string, path: string, names: Readonly<Record<'roles' | 'machines', RegExp>>) {
    const root = await this.#poolOfOurs(pool);
    const kind = (['roles', 'machines'] as const).find(
      (each) => isOfVm(join(root, each), dirname(path)) && names[each].test(basename(path)),
    );
    if (kind === undefined || !(await lstat(path)).isFile()) throw notOurs(path);
    const disk = diskOf(kind, dirname(path), basename(path));
    const owner = await ownerOf(kind, disk);
    if (this.#isShared(pool) && owner?.host !== this.#options.host) throw notOurs(path);
    return { kind, disk };
  }

  #isShared(name: string): boolean {
    return this.#options.pools.find((pool) => pool.name === name)?.kind !== 'local';
  }

  /** @returns its folder. */
  async #poolOfOurs(name: string): Promise<string> {
    const { pools, fleet } = this.#options;
    const pool = pools.find((each) => each.name === name);
    if (!pool || (await readPoolOwner(pool.path)) !== fleet) throw notOurs(`pool ${name}`);
    return pool.path;
  }
}

/** True for `<root>/<application>/<vm>`. */
const isOfVm = (root: string, folder: string) =>
  folder.startsWith(`${root}/`) && VM_ID_PATTERN.test(folder.slice(root.length + 1));

const notOurs = (what: string) =>
  new WeftError('forbidden', `${what} is not, or no longer, this fleet's to remove`);
