import { VM_ID_PATTERN } from '../../agent/kit/names.ts';
import { BACKUP_ID_PATTERN } from '../../agent/protocol/index.ts';

/** `crm/db/20260102t030405`: how a backup is named, and its key in the store. */
export const backupRef = ({ vmId, id }: { readonly vmId: string; readonly id: string }): string =>
  `${vmId}/${id}`;

/** Null for what names no backup. */
export function parseBackupRef(ref: string): { readonly vmId: string; readonly id: string } | null {
  const at = ref.lastIndexOf('/');
  const [vmId, id] = [ref.slice(0, Math.max(0, at)), ref.slice(at + 1)];
  return VM_ID_PATTERN.test(vmId) && BACKUP_ID_PATTERN.test(id) ? { vmId, id } : null;
}

/** The moment in UTC, to the second; a later one when the machine has a backup of that name already. */
export function backupIdAt(nowMs: number, isTaken: (id: string) => boolean): string {
  for (let atMs = nowMs; ; atMs += 1_000) {
    const [date = '', time = ''] = new Date(atMs).toISOString().split('T');
    const id = `${date.replaceAll('-', '')}t${time.slice(0, 8).replaceAll(':', '')}`;
    if (!isTaken(id)) return id;
  }
}
