import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../kit/clock.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { repeat } from '../kit/repeat.ts';
import type { Disks, PoolConfiguration, PoolView } from './contract.ts';
import { spaceAt } from './space.ts';

/** Space of a pool, or of the file system of the blob cache where that is another one (`name` null). */
export interface Space {
  readonly name: string | null;
  /** Of a pool in Ceph `rbd:` and its name. */
  readonly path: string;
  readonly freeMiB: number;
  readonly totalMiB: number;
  /** The blob cache is on the same file system. */
  readonly hasCache: boolean;
  /** Absent: it is a file system of this host. */
  readonly ceph?: { readonly isFull: boolean };
}

/** What one look at the pools has shown. */
export interface PoolsSeen {
  readonly pools: readonly PoolView[];
  /** Of each pool that can be used, and of the blob cache where it is on another file system than all of them. */
  readonly spaces: readonly Space[];
}

export interface PoolWatchOptions {
  readonly disks: Pick<Disks, 'pools'>;
  readonly pools: readonly PoolConfiguration[];
  /** Of the blob cache; it need not be there yet. */
  readonly blobFolder: string;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

type Listener = (seen: PoolsSeen) => Promise<void> | void;

/**
 * The one who looks at this host's pools: whether they are there, and how much room they have. All others hear of it. On storage that
 * does not answer a look never ends, and none is begun beside it.
 */
export class PoolWatch {
  readonly #options: PoolWatchOptions;
  readonly #runner = new ExclusiveRunner();
  readonly #listeners = new Set<Listener>();
  #latest: PoolsSeen = { pools: [], spaces: [] };

  constructor(options: PoolWatchOptions) {
    this.#options = options;
  }

  /** What the last look has shown; nothing before the first. */
  get latest(): PoolsSeen {
    return this.#latest;
  }

  /** Looks now, and is over when everybody has heard of it. @throws as the file system of the blob cache does. */
  look(): Promise<PoolsSeen> {
    return this.#runner.run('look', async () => {
      const { disks, pools, blobFolder } = this.#options;
      const views = await disks.pools();
      this.#latest = { pools: views, spaces: await spacesOf(views, pools, blobFolder) };
      for (const listener of this.#listeners) await listener(this.#latest);
      return this.#latest;
    });
  }

  onSeen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns what ends it. */
  start(): () => void {
    const { clock, everyMs, log } = this.#options;
    const work = () =>
      this.look().then(
        () => undefined,
        (error: unknown) => log.warn({ err: error }, 'could not look at the pools'),
      );
    return repeat(clock, everyMs, work, 'now');
  }
}

async function spacesOf(
  views: readonly PoolView[],
  pools: readonly PoolConfiguration[],
  blobFolder: string,
): Promise<readonly Space[]> {
  const cache = await existing(blobFolder);
  const cacheDevice = (await stat(cache)).dev;
  const found = await Promise.all(
    views.map(async ({ name, kind, id, freeMiB, totalMiB, isFull = false }) => {
      if (kind === 'rbd')
        return id === null
          ? []
          : [{ name, path: `rbd:${name}`, freeMiB, totalMiB, hasCache: false, ceph: { isFull } }];
      const path = pools.find((pool) => pool.name === name)?.path;
      const there = id === null || path === undefined ? null : await stat(path).catch(() => null);
      return path === undefined || there === null
        ? []
        : [{ name, path, freeMiB, totalMiB, hasCache: there.dev === cacheDevice }];
    }),
  );
  const spaces = found.flat();
  if (spaces.some(({ hasCache }) => hasCache)) return spaces;
  return [...spaces, { name: null, path: cache, ...(await spaceAt(cache)), hasCache: true }];
}

/** The folder, or the nearest above it that is there: the cache is made with its first blob. */
async function existing(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path))
    if (path === dirname(path) || (await stat(path).catch(() => null)) !== null) return path;
}
