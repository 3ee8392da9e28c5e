import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PoolConfiguration } from '../../disks/contract.ts';
import { spaceAt } from '../../disks/space.ts';
import type { Space } from '../world.ts';

/** Space of each pool that is there, and of the blob cache where it is on another file system than all of them. */
export async function lookAtSpace(
  pools: readonly PoolConfiguration[],
  blobFolder: string,
): Promise<readonly Space[]> {
  const cache = await existing(blobFolder);
  const cacheDevice = (await stat(cache)).dev;
  const found = await Promise.all(
    pools.map((pool) => spaceOf(pool.name, pool.path, cacheDevice).catch(() => null)),
  );
  const spaces = found.filter((space) => space !== null);
  return spaces.some(({ hasCache }) => hasCache)
    ? spaces
    : [...spaces, await spaceOf(null, cache, cacheDevice)];
}

async function spaceOf(name: string | null, path: string, cacheDevice: number): Promise<Space> {
  const [space, { dev }] = await Promise.all([spaceAt(path), stat(path)]);
  return { name, path, ...space, hasCache: dev === cacheDevice };
}

/** The folder, or the nearest above it that is there: the cache is made with its first blob. */
async function existing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path))
    if (path === dirname(path) || (await stat(path).catch(() => null)) !== null) return path;
}
