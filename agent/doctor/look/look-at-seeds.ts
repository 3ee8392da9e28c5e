import { join } from 'node:path';
import type { DoctorWorld } from '../world.ts';
import { vmFoldersBelow } from './entries.ts';

const SEED = /^seed-([1-9][0-9]{0,14})\.iso$/;

/** Seeds and empty folders of VMs, below the agent's own state folder. */
export async function lookAtSeeds(run: string): Promise<Pick<DoctorWorld, 'seeds' | 'emptyFolders'>> {
  const folders = await vmFoldersBelow(run);
  return {
    seeds: folders.flatMap(({ path, vmId, entries }) =>
      entries.flatMap((entry) => {
        const incarnation = Number(SEED.exec(entry.name)?.[1]);
        if (vmId === null || !entry.isFile() || !incarnation) return [];
        return [{ path: join(path, entry.name), vmId, incarnation }];
      }),
    ),
    emptyFolders: folders
      .filter(({ entries }) => entries.length === 0)
      .map(({ path, vmId }) => ({ pool: null, path, vmId })),
  };
}
