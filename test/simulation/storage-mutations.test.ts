import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { plan } from '../../controller/reconciler/plan.ts';
import { playScenario } from './support/scenario.ts';
import { SHARED_POOL } from './support/shared-pool.ts';

type Planner = typeof plan;

/** Whoever was shut out is let in again, whatever is left on it. */
const letsAllIn: Planner = (world, nowMs, settings) => {
  const lift = [...world.fencing.values()].flatMap(({ host, storage }) =>
    (storage ?? []).filter(({ proof, lifted }) => proof && !lifted).map((fence) => ({ host, fence })),
  );
  return { ...plan(world, nowMs, settings), lift };
};

/** That a host is shut out of Ceph is taken for a proof of every pool that hosts share. */
const provesOfAllPools: Planner = (world, nowMs, settings) => {
  const fencing = [...world.fencing].map(([name, record]) => {
    const storage = record.storage?.map((fence) => ({ ...fence, pools: [...fence.pools, SHARED_POOL.id] }));
    return [name, storage ? { ...record, storage } : record] as const;
  });
  return plan({ ...world, fencing: new Map(fencing) }, nowMs, settings);
};

/** Pools of one name and mark are taken for one storage, whatever hosts find in them. */
const believesMarks: Planner = (world, nowMs, settings) => {
  const live = [...world.live].map(([name, host]) => {
    if (!host.report) return [name, host] as const;
    const { peers: _peers, ...report } = host.report;
    return [name, { ...host, report }] as const;
  });
  return plan({ ...world, live: new Map(live) }, nowMs, settings);
};

/** What is broken on purpose, in which scenario it shows, and what says so. */
const MUTATIONS: Readonly<Record<string, readonly [string, Planner, RegExp]>> = {
  'a host is let in while it runs what lives elsewhere': [
    'host-cut-off-is-shut-out-of-ceph',
    letsAllIn,
    /is on h\d and on h\d|from a stale state/,
  ],
  'a storage fence is taken for a proof of other storage': [
    'storage-fence-says-nothing-of-other-pools',
    provesOfAllPools,
    /while it runs on|is on h\d and on h\d/,
  ],
  'pools are taken for one by their names and marks': [
    'pools-that-are-one-by-name-only',
    believesMarks,
    /never goes to another storage/,
  ],
};

describe('the simulation catches what is broken about storage', () => {
  test.each(Object.entries(MUTATIONS))('%s', async (_name, [scenario, broken, wanted]) => {
    const file = join(import.meta.dirname, 'scenarios', scenario, 'script.json');
    await expect(playScenario(file, { plan: broken })).rejects.toThrow(wanted);
  });
});
