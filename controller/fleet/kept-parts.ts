import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { Report, VmReport } from '../../agent/protocol/index.ts';

/**
 * Hosts tell everything at every heartbeat, and nearly always what they told before. What of a report is the same as in the one
 * before is that one's, the very same object: who has looked at it sees at a glance that there is nothing to look at.
 */
export function keepParts(before: Report | null, report: Report): Report {
  if (before === null || hasSameParts(before, report)) return report;
  return {
    ...report,
    vms: keepVms(before.vms, report.vms),
    strangers: keep(before.strangers, report.strangers),
    leaving: keep(before.leaving, report.leaving),
    ...(report.doctor === undefined || before.doctor === undefined
      ? {}
      : { doctor: keep(before.doctor, report.doctor) }),
    ...(report.backups === undefined || before.backups === undefined
      ? {}
      : { backups: keep(before.backups, report.backups) }),
    ...(report.peers === undefined || before.peers === undefined
      ? {}
      : { peers: keep(before.peers, report.peers) }),
    ...(report.migrations === undefined || before.migrations === undefined
      ? {}
      : { migrations: keep(before.migrations, report.migrations) }),
  };
}

const hasSameParts = (before: Report, report: Report): boolean =>
  before.vms === report.vms &&
  before.strangers === report.strangers &&
  before.leaving === report.leaving &&
  before.doctor === report.doctor &&
  before.backups === report.backups &&
  before.peers === report.peers &&
  before.migrations === report.migrations;

const keep = <T>(before: T, now: T): T => (isSameDocument(before, now) ? before : now);

function keepVms(before: VmReport[], now: VmReport[]): VmReport[] {
  if (before === now) return before;
  const known = new Map(before.map((vm) => [vm.id, vm]));
  const kept = now.map((vm) => keep(known.get(vm.id) ?? vm, vm));
  const isSame = kept.length === before.length && kept.every((vm, index) => vm === before[index]);
  return isSame ? before : kept;
}
