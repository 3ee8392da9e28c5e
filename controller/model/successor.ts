import type { VmRecord } from './records.ts';

/** A VM's successor as if it were the VM: what its host is told, and says, of it. Null: there is none, or no host hears of it. */
export function successorView(record: VmRecord): VmRecord | null {
  const { successor } = record;
  if (!successor || record.deleting || record.kind === 'machine') return null;
  const { sinceMs, ...made } = successor;
  return { ...record, ...made, stateSinceMs: sinceMs, retryAtMs: null, successor: null };
}

/** The next number that no host was ever given of this VM. */
export const nextIncarnation = (record: Pick<VmRecord, 'incarnation' | 'highestIncarnation'>): number =>
  Math.max(record.incarnation, record.highestIncarnation ?? 0) + 1;
