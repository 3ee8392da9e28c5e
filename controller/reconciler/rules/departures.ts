import { isHandedOver } from '../../model/live-move.ts';
import type { VmRecord } from '../../model/records.ts';
import { restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import type { Placement } from '../placement.ts';
import { dropSuccessor, keepOldAddress } from '../successors.ts';
import { hasOldDisk } from './copied-disks.ts';
import { isLost } from './hosts.ts';
import { supersede } from './superseded.ts';

/** Ends what is going: a record goes when nothing of the VM is on its host any more, an application when its last VM has gone. */
export function finishDepartures(draft: Draft, placement: Placement): void {
  for (const record of draft.of('vms', restlessVms)) {
    if (!record.deleting || isHandedOver(record)) continue;
    const alone = dropSuccessor(draft, placement, record, 'nobody wants it');
    if (isGone(draft, alone) && !hasOldDisk(draft, alone.id)) forget(draft, alone, placement);
  }
  for (const tombstone of [...draft.all('tombstones')]) {
    if (draft.get('vms', tombstone.id)?.deleting) continue;
    if (isOffHost(draft, tombstone.host, tombstone.id) || !draft.get('hosts', tombstone.host))
      draft.delete('tombstones', tombstone.id);
  }
  for (const application of [...draft.all('applications')]) {
    if (!application.deleting) continue;
    if ([...draft.all('vms')].some((record) => record.app === application.name)) continue;
    draft.delete('applications', application.name);
    draft.tell('application-deleted', application.name, 'its last VM has gone');
  }
}

/** An instance on a host that is down counts as gone: the host reaps it when it returns. A machine's disk must be seen gone. */
function isGone(draft: Draft, record: VmRecord): boolean {
  if (record.host === null) return true;
  const host = draft.get('hosts', record.host);
  if (!host) return true;
  if (record.kind !== 'machine' && isLost(host)) return true;
  return isOffHost(draft, record.host, record.id);
}

/** True when the host has looked at itself with a goal that does not name this VM, and found nothing of it. */
function isOffHost(draft: Draft, host: string, vmId: string): boolean {
  const live = draft.world.live.get(host);
  if (!live?.connected || !live.report || live.acknowledged === null) return false;
  const { report, acknowledged } = live;
  return (
    !acknowledged.has(vmId) &&
    !report.leaving.includes(vmId) &&
    !report.strangers.some((stranger) => stranger.id === vmId)
  );
}

function forget(draft: Draft, record: VmRecord, placement: Placement): void {
  placement.release(record);
  const host = record.host === null ? undefined : draft.get('hosts', record.host);
  if (host && isLost(host)) supersede(draft, record);
  keepOldAddress(draft, record);
  const highest = Math.max(
    draft.get('incarnations', record.app)?.highest ?? 0,
    record.incarnation,
    record.highestIncarnation ?? 0,
  );
  if (highest > 0) draft.put('incarnations', record.app, { highest });
  draft.delete('vms', record.id);
  draft.tell('vm-gone', record.id, `nothing of it is left${record.host ? ` on ${record.host}` : ''}`);
}
