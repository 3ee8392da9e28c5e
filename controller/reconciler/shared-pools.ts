import type { HostOffer } from '../../agent/protocol/index.ts';
import type { HostRecord } from '../model/records.ts';

/** A pool of this name that the host offers and others can have as well; undefined: it is the host's alone, or not offered. */
export const sharedPoolOf = (
  host: Pick<HostRecord, 'offer'> | undefined,
  name: string,
): HostOffer['pools'][number] | undefined =>
  host?.offer?.pools.find((pool) => pool.name === name && pool.kind !== 'local');
