import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolConfiguration } from '../../disks/contract.ts';
import { ownerFile, readOwner } from '../../disks/owner.ts';
import { readPoolOwner } from '../../disks/pool-mark.ts';
import type { DoctorWorld, EmptyFolder, HalfMadeDisk, LoneOwner } from '../world.ts';
import { type VmFolder, vmFoldersBelow } from './entries.ts';

type Kind = 'roles' | 'machines';

/** As `LocalDisks` names what it has not finished. */
export const HALF_MADE = {
  roles: /^[1-9][0-9]{0,14}\.qcow2\.[0-9a-f]{8}\.tmp$/,
  machines: /^disk\.qcow2\.[0-9a-f]{8}\.tmp$/,
} as const;

/** As `LocalDisks` names who had a disk. */
export const OWNER = {
  roles: /^([1-9][0-9]{0,14})\.qcow2\.owner$/,
  machines: /^owner\.json$/,
} as const;

/** The disk that a half, or an owner's file, belongs to. */
export const diskOf = (kind: Kind, folder: string, name: string) =>
  join(folder, kind === 'machines' ? 'disk.qcow2' : name.replace(/\.qcow2\..*$/, '.qcow2'));

/** Who had it last, as it is written beside it. */
export const ownerOf = (kind: Kind, disk: string) =>
  readOwner(ownerFile(kind === 'machines' ? 'machine' : 'instance', disk));

type Found = Pick<DoctorWorld, 'halfMade' | 'emptyFolders' | 'loneOwners'>;

/** What is left over in pools that carry this fleet's mark; other pools are not looked into. */
export async function lookAtPools(pools: readonly PoolConfiguration[], fleet: string): Promise<Found> {
  const halfMade: HalfMadeDisk[] = [];
  const emptyFolders: EmptyFolder[] = [];
  const loneOwners: LoneOwner[] = [];
  for (const pool of pools) {
    if ((await readPoolOwner(pool.path)) !== fleet) continue;
    for (const kind of ['roles', 'machines'] as const)
      for (const folder of await vmFoldersBelow(join(pool.path, kind))) {
        const { path, vmId, entries } = folder;
        if (entries.length === 0) emptyFolders.push({ pool: pool.name, path, vmId });
        if (vmId === null) continue;
        halfMade.push(...(await filesOf(pool.name, kind, vmId, folder, HALF_MADE[kind])));
        const owners = await filesOf(pool.name, kind, vmId, folder, OWNER[kind]);
        const names = new Set(entries.map(({ name }) => join(path, name)));
        for (const { disk, ...file } of owners)
          if (!names.has(disk))
            loneOwners.push({ ...file, incarnation: kind === 'machines' ? null : incarnationOf(disk) });
      }
  }
  return { halfMade, emptyFolders, loneOwners };
}

const incarnationOf = (disk: string) => Number(/([0-9]+)\.qcow2$/.exec(disk)?.[1]);

async function filesOf(
  pool: string,
  kind: Kind,
  vmId: string,
  { path: folder, entries }: VmFolder,
  pattern: RegExp,
): Promise<readonly (HalfMadeDisk & { readonly disk: string })[]> {
  const files = entries.filter((entry) => entry.isFile() && pattern.test(entry.name));
  const found = await Promise.all(
    files.map(async ({ name }) => {
      const path = join(folder, name);
      const disk = diskOf(kind, folder, name);
      const [there, owner] = await Promise.all([stat(path).catch(() => null), ownerOf(kind, disk)]);
      return there === null
        ? []
        : [{ pool, path, vmId, disk, modifiedMs: there.mtimeMs, owner: owner?.host ?? null }];
    }),
  );
  return found.flat();
}
