import type { HostOffer } from '../../agent/protocol/index.ts';
import type { HostRecord } from '../model/records.ts';

/** A pool of this name that the host offers and others can have as well; undefined: it is the host's alone, or not offered. */
export const sharedPoolOf = (
  host: Pick<HostRecord, 'offer'> | undefined,
  name: string,
): HostOffer['pools'][number] | undefined =>
  host?.offer?.pools.find((pool) => pool.name === name && pool.kind !== 'local');

/**
 * Whether QEMU locks disks in a pool, so that of two on two hosts one cannot write. Images in Ceph have a lock as well, which goes over to
 * whoever asks for it.
 */
export const locksDisks = ({ kind }: HostOffer['pools'][number]): boolean => kind === 'shared';

/**
 * Whether two hosts that offer a pool under one name and id were found to have two storages. While a host is away only what the
 * other one finds counts: what it wrote is still there, and what it found may be mended since.
 */
export const areApart = (pool: string, one: HostRecord, other: HostRecord): boolean =>
  doesNotFind(pool, one, other) || doesNotFind(pool, other, one);

const doesNotFind = (pool: string, viewer: HostRecord, peer: HostRecord): boolean =>
  viewer.state === 'up' && viewer.sharedPools?.[pool]?.seen[peer.name] === false;

/** Whether one of them has found what the other left in the pool. Of agents that leave nothing there name and id have to do. */
export function areTogether(pool: string, one: HostRecord, other: HostRecord): boolean {
  const [its, others] = [one.sharedPools?.[pool], other.sharedPools?.[pool]];
  return !its || !others || its.seen[other.name] === true || others.seen[one.name] === true;
}

/** Pool → other hosts that a host has yet to look for there. */
export const unfoundOf = (host: Pick<HostRecord, 'sharedPools'> | undefined): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(host?.sharedPools ?? {}).flatMap(([pool, { unfound }]) =>
      unfound === undefined ? [] : [[pool, [...unfound]]],
    ),
  );
