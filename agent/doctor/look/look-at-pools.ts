import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolConfiguration } from '../../disks/contract.ts';
import { readPoolOwner } from '../../disks/pool-mark.ts';
import type { DoctorWorld, EmptyFolder, HalfMadeDisk } from '../world.ts';
import { vmFoldersBelow } from './entries.ts';

/** As `LocalDisks` names what it has not finished. */
export const HALF_MADE = {
  roles: /^[1-9][0-9]{0,14}\.qcow2\.[0-9a-f]{8}\.tmp$/,
  machines: /^disk\.qcow2\.[0-9a-f]{8}\.tmp$/,
} as const;

/** Half-made disks and empty folders in pools that carry this fleet's mark; other pools are not looked into. */
export async function lookAtPools(
  pools: readonly PoolConfiguration[],
  fleet: string,
): Promise<Pick<DoctorWorld, 'halfMade' | 'emptyFolders'>> {
  const halfMade: HalfMadeDisk[] = [];
  const emptyFolders: EmptyFolder[] = [];
  for (const pool of pools) {
    if ((await readPoolOwner(pool.path)) !== fleet) continue;
    for (const kind of ['roles', 'machines'] as const)
      for (const { path, vmId, entries } of await vmFoldersBelow(join(pool.path, kind))) {
        if (entries.length === 0) emptyFolders.push({ pool: pool.name, path, vmId });
        if (vmId === null) continue;
        for (const entry of entries) {
          if (!entry.isFile() || !HALF_MADE[kind].test(entry.name)) continue;
          const file = join(path, entry.name);
          const found = await stat(file).catch(() => null);
          if (found) halfMade.push({ pool: pool.name, path: file, vmId, modifiedMs: found.mtimeMs });
        }
      }
  }
  return { halfMade, emptyFolders };
}
