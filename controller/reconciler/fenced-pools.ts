import type { HostRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';

/** What a host offers, less what it is shut out of: it may not have seen that yet. */
export function withoutFencedPools(draft: Draft, host: HostRecord): HostRecord {
  const storage = draft.get('fencing', host.name)?.storage?.filter(({ lifted }) => !lifted) ?? [];
  if (storage.length === 0 || !host.offer) return host;
  const pools = host.offer.pools.filter(({ id }) => !storage.some((fence) => fence.pools.includes(id ?? '')));
  return { ...host, offer: { ...host.offer, pools } };
}
