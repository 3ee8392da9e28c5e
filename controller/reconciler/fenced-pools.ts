import type { FencingRecord, HostRecord, StorageFence } from '../model/records.ts';
import type { Draft } from './draft.ts';

/** Of which the host was not let in again. */
export const standingFences = (record: FencingRecord | undefined): readonly StorageFence[] =>
  (record?.storage ?? []).filter(({ lifted }) => !lifted);

/** What a host offers, less what it is shut out of: it may not have seen that yet. */
export function withoutFencedPools(draft: Draft, host: HostRecord): HostRecord {
  const storage = standingFences(draft.get('fencing', host.name));
  if (storage.length === 0 || !host.offer) return host;
  const pools = host.offer.pools.filter(({ id }) => !storage.some((fence) => fence.pools.includes(id ?? '')));
  return { ...host, offer: { ...host.offer, pools } };
}
