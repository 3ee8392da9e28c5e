import { successorView } from '../../model/successor.ts';
import type { Draft } from '../draft.ts';
import { follow } from '../instance-states.ts';
import { followSuccessor } from '../successors.ts';

/** Takes in what every host that is up says of the VMs that are placed on it. */
export function takeReportsIn(draft: Draft): void {
  for (const [host, live] of draft.world.live) {
    if (!live.connected || !live.report || draft.get('hosts', host)?.state !== 'up') continue;
    for (const report of live.report.vms) {
      const record = draft.get('vms', report.id);
      if (record?.host === host) follow(draft, record, report);
      else if (record && successorView(record)?.host === host) followSuccessor(draft, record, report);
    }
  }
}
