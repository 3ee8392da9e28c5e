import { z } from 'zod';
import { WeftError } from '../../kit/errors.ts';
import type { CephClient } from './ceph-client.ts';

const MIB = 2 ** 20;

const usage = z.object({
  pools: z.array(
    z.object({
      name: z.string(),
      stats: z.object({ max_avail: z.number(), stored: z.number(), quota_bytes: z.number().default(0) }),
    }),
  ),
});
const details = z.array(z.object({ pool_name: z.string(), flags_names: z.string() }));

export interface PoolRoom {
  readonly freeMiB: number;
  readonly totalMiB: number;
}

export interface PoolFigures extends PoolRoom {
  /** The cluster's fsid. */
  readonly cluster: string;
  /** Ceph takes no writes into the pool: they wait until it does again. */
  readonly isFull: boolean;
}

/**
 * What `ceph df detail --format json` says of one pool: what it may still take, all copies counted, and what it has; with a quota no
 * more than that leaves. Null: nothing.
 */
export function readUsage(text: string, pool: string): PoolRoom | null {
  const found = usage.parse(JSON.parse(text)).pools.find(({ name }) => name === pool)?.stats;
  if (!found) return null;
  const { max_avail: available, stored, quota_bytes: quota } = found;
  const freeBytes = quota > 0 ? Math.min(available, Math.max(0, quota - stored)) : available;
  const inMiB = (bytes: number) => Math.floor(bytes / MIB);
  return { freeMiB: inMiB(freeBytes), totalMiB: inMiB(freeBytes + stored) };
}

/** Whether `ceph osd pool ls detail --format json` has the pool as full: by its quota, or because an OSD of its is. */
export function readIsFull(text: string, pool: string): boolean {
  const flags = details.parse(JSON.parse(text)).find((each) => each.pool_name === pool)?.flags_names;
  return flags?.split(',').some((flag) => flag === 'full' || flag === 'full_quota') === true;
}

/** @throws WeftError as Ceph's programs do. */
export async function askForFigures(client: CephClient): Promise<PoolFigures> {
  const { pool } = client.pool;
  const cluster = (await client.ceph('fsid')).trim();
  const room = readUsage(await client.ceph('df', 'detail', '--format', 'json'), pool);
  if (!room) throw new WeftError('host-unreachable', `Ceph does not say yet what its pool ${pool} holds`);
  const isFull = readIsFull(await client.ceph('osd', 'pool', 'ls', 'detail', '--format', 'json'), pool);
  return { cluster, ...room, isFull };
}
