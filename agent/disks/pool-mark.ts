import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { WeftError } from '../kit/errors.ts';
import type { PoolConfiguration } from './contract.ts';

/** Whose a pool is, and which one: the file that makes a folder a pool. An empty folder, such as a mount that did not come up, is none. */
export interface PoolMark {
  readonly fleet: string;
  readonly id: string;
}

const MARK = '.weft-pool.json';
const poolMark = z.object({ fleet: z.string(), id: z.uuid().optional() });

/** @returns null when there is no marker, or none that can be read. */
async function readMark(pool: Pick<PoolConfiguration, 'path'>): Promise<z.infer<typeof poolMark> | null> {
  try {
    const parsed = poolMark.safeParse(JSON.parse(await readFile(join(pool.path, MARK), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** UUID of the fleet that a folder is marked as; null: it has no mark that can be read. */
export const readPoolOwner = async (path: string): Promise<string | null> =>
  (await readMark({ path }))?.fleet ?? null;

/** Marks a folder as the fleet's pool, unless it is one already. @throws WeftError `conflict` when it is another fleet's. */
export async function markPool(pool: PoolConfiguration, fleet: string): Promise<PoolMark> {
  const found = await readMark(pool);
  if (found) requireFleet(pool, found.fleet, fleet);
  if (found?.id) return { fleet, id: found.id };
  const mark = { fleet, id: randomUUID() };
  await writeFileAtomic(join(pool.path, MARK), `${JSON.stringify(mark)}\n`);
  return mark;
}

/** @throws WeftError `not-found` when the folder is no pool; `conflict` when it is another fleet's. */
export async function requireMark(pool: PoolConfiguration, fleet: string): Promise<PoolMark> {
  const found = await readMark(pool);
  if (!found?.id)
    throw new WeftError('not-found', `${pool.path} is no pool: it has no ${MARK}`, {
      remedy: `Mount it. If it is new, make it one, on one host: weft-agent --init-pool ${pool.name}`,
    });
  requireFleet(pool, found.fleet, fleet);
  return { fleet, id: found.id };
}

function requireFleet(pool: PoolConfiguration, owner: string, fleet: string): void {
  if (owner === fleet) return;
  throw new WeftError('conflict', `pool ${pool.name} (${pool.path}) belongs to another fleet, ${owner}`, {
    remedy: `Give this fleet a folder of its own in agent.yaml, or remove ${join(pool.path, MARK)} if that fleet is gone.`,
  });
}
