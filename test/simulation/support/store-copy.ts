import type { FleetRecord } from '../../../controller/model/index.ts';
import type { Snapshot, Store, Transaction } from '../../../controller/store/contract.ts';

/** Everything that a store had at one moment. */
export type StoreCopy = Snapshot;

export const copyOf = (store: Pick<Store, 'list'>): Promise<StoreCopy> => store.list('');

/** What makes a store of now what it was at the copy, as the fleet of this record. */
export function goingBack(now: Snapshot, copy: StoreCopy, fleet: FleetRecord): Transaction {
  const kept = new Set(copy.entries.map(({ key }) => key));
  return {
    puts: copy.entries.map(({ key, value }) => ({ key, value: key === 'fleet' ? fleet : value })),
    deletes: now.entries.map(({ key }) => key).filter((key) => !kept.has(key)),
  };
}
