import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../model/records.ts';
import { successorView } from '../../model/successor.ts';
import type { Draft } from '../draft.ts';
import { follow } from '../instance-states.ts';
import { followSuccessor } from '../successors.ts';

/** What a host says of its VMs → all records of VMs, to which it had nothing to add. */
const nothingNew = new WeakMap<
  readonly VmReport[],
  { readonly host: string; readonly records: readonly VmRecord[] }
>();

/** Takes in what every host that is up says of the VMs that are placed on it. */
export function takeReportsIn(draft: Draft): void {
  const records = draft.all('vms');
  for (const [host, live] of draft.world.live) {
    if (!live.connected || !live.report) continue;
    const { vms } = live.report;
    if (vms.length === 0) continue;
    const known = nothingNew.get(vms);
    if (known?.host === host && known.records === records) continue;
    if (draft.get('hosts', host)?.state !== 'up') continue;
    const before = draft.changes;
    for (const report of vms) {
      const record = draft.get('vms', report.id);
      if (record?.host === host) follow(draft, record, report);
      else if (record && successorView(record)?.host === host) followSuccessor(draft, record, report);
    }
    // What was taken in from other hosts in this pass is of VMs, or of successors, that are theirs.
    if (draft.changes === before) nothingNew.set(vms, { host, records });
  }
}
