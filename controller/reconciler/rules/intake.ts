import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../model/records.ts';
import { successorView } from '../../model/successor.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import { follow } from '../instance-states.ts';
import { telling } from '../live-hosts.ts';
import { followSuccessor } from '../successors.ts';
import type { LiveHost } from '../world.ts';

/** What a host says of its VMs → all records of VMs, to which it had nothing to add. */
interface Known {
  readonly host: string;
  records: readonly VmRecord[];
}
const nothingNew = new WeakMap<readonly VmReport[], Known>();

/** Takes in what every host that is up says of the VMs that are placed on it. */
export function takeReportsIn(draft: Draft): void {
  const records = draft.all('vms');
  for (const [host, live] of telling(draft.world.live, tellsOfVms)) {
    const vms = live.report?.vms ?? [];
    const known = nothingNew.get(vms);
    if (known?.host === host && isStillKnown(known, records)) continue;
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

const tellsOfVms = ({ connected, report }: LiveHost): boolean => connected && (report?.vms.length ?? 0) > 0;

/** Records of what is on other hosts may change: this one is not asked about them. */
function isStillKnown(known: Known, records: readonly VmRecord[]): boolean {
  if (known.records === records) return true;
  if (hostsWithChanges(known.records, records).has(known.host)) return false;
  known.records = records;
  return true;
}

/** Hosts on which something is, or is to be, whose record is another one in the second list than in the first. */
function hostsWithChanges(before: readonly VmRecord[], records: readonly VmRecord[]): ReadonlySet<string> {
  const known = derived(records, newComparison);
  if (known.before !== before) {
    known.before = before;
    known.hosts = compare(before, records);
  }
  return known.hosts;
}

/** Nearly all hosts compare a list with the same earlier one. */
const newComparison = (): { before: readonly VmRecord[] | null; hosts: ReadonlySet<string> } => ({
  before: null,
  hosts: new Set(),
});

function compare(before: readonly VmRecord[], records: readonly VmRecord[]): ReadonlySet<string> {
  const hosts = new Set<string>();
  const same = before.length === records.length ? null : new Set(before);
  for (let index = 0; index < records.length; index++) {
    const record = records[index] as VmRecord;
    if (same ? same.has(record) : before[index] === record) continue;
    if (record.host !== null) hosts.add(record.host);
    if (record.successor) hosts.add(record.successor.host);
  }
  return hosts;
}
