import type { Successor, VmRecord } from './records.ts';

/** A VM's successor as if it were the VM: what its host is told, and says, of it. Null: there is none, or it is a machine's. */
export function successorView(record: VmRecord): VmRecord | null {
  const { successor } = record;
  if (!successor || record.deleting || record.kind === 'machine') return null;
  return asVm(record, successor);
}

/** A machine that comes to another host while it runs, as that host is to have it. Null: none does. */
export function arrivingView(record: VmRecord): VmRecord | null {
  const { successor } = record;
  return successor?.live ? { ...asVm(record, successor), power: 'running' } : null;
}

function asVm(record: VmRecord, successor: Successor): VmRecord {
  const { sinceMs, live: _live, ...made } = successor;
  return { ...record, ...made, stateSinceMs: sinceMs, retryAtMs: null, successor: null };
}

/** The next number that no host was ever given of this VM. */
export const nextIncarnation = (record: Pick<VmRecord, 'incarnation' | 'highestIncarnation'>): number =>
  highestOf(record) + 1;

/** The highest incarnation that it, or any successor of it, was given: nothing of it is of a later one. */
export const highestOf = (record: Pick<VmRecord, 'incarnation' | 'highestIncarnation'>): number =>
  Math.max(record.incarnation, record.highestIncarnation ?? 0);
