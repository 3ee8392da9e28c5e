import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { Report, VmReport } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import { hasAny } from './at-rest.ts';
import { hasFormer } from './former-places.ts';
import { tellsNothing } from './instance-states.ts';
import { saysTheSame } from './says-the-same.ts';
import type { WorldCache } from './world-cache.ts';

/**
 * Whether a host's report may give a plan something to do, under the records as they are. Most do not: an agent tells each goal that it
 * has looked with, and everything anew when it has connected.
 * @param before its last report in this session; undefined: there was none.
 */
export function isNews(host: string, before: Report | undefined, report: Report, cache: WorldCache): boolean {
  if (cache.records('hosts').get(host)?.state !== 'up') return true;
  if (before && saysTheSame(before, report)) return false;
  if (!isRestKnown(host, before, report, cache) || isAwaited(host, report, cache)) return true;
  const { vms } = report;
  return vms.some((vm) => !isKnown(host, vm, cache.records('vms').get(vm.id)));
}

/** What is told beside its VMs is what was told before; the first time, nothing but which pools are full, as is known. */
function isRestKnown(host: string, before: Report | undefined, report: Report, cache: WorldCache): boolean {
  const { vms, revisionSeen, epochSeen, leaving } = report;
  if (before) return saysTheSame({ ...before, vms, revisionSeen, epochSeen, leaving }, report);
  const known = cache.records('hosts').get(host)?.fullPools ?? [];
  return (
    isSameDocument([...known].sort(), [...(report.doctor?.fullPools ?? known)].sort()) && tellsNoMore(report)
  );
}

const USUAL: ReadonlySet<string> = new Set<keyof Report>([
  ...(['type', 'sequence', 'atMs', 'bootId', 'blobs', 'metrics'] as const),
  ...(['revisionSeen', 'epochSeen', 'vms', 'leaving', 'doctor', 'networkProblems'] as const),
]);

/** Nothing is told in any other field. */
const tellsNoMore = (report: Report): boolean =>
  Object.entries(report).every(
    ([name, value]) => USUAL.has(name) || value === undefined || (Array.isArray(value) && value.length === 0),
  );

/** Of one that is or moves elsewhere, `isAwaited` has the say. */
const isKnown = (host: string, report: VmReport, record: VmRecord | undefined): boolean =>
  report.newerFound === undefined && (record?.host !== host || tellsNothing(record, report));

/** Somebody waits for this host to have looked with its newest goal: for something to be gone from it, stopped on it, or moved to or from it. */
export function isAwaited(name: string, report: Report | null, cache: WorldCache): boolean {
  const host = cache.records('hosts').get(name);
  if (!host || !isModeSettled(host, report)) return true;
  if (hasFormer(host)) return true;
  if (hasAny(host.superseded) || hasAny(host.copiedAway ?? {}) || cache.records('fencing').has(name))
    return true;
  for (const vm of cache.vmsOn(name))
    if (vm.deleting || vm.successor || vm.moveTo !== null || vm.power !== 'running') return true;
  for (const tombstone of cache.records('tombstones').values()) if (tombstone.host === name) return true;
  return false;
}

/** What it says of what it has left does not change its mode. */
function isModeSettled({ mode = 'in-service', draining }: HostRecord, report: Report | null): boolean {
  if (!draining) return mode === 'in-service';
  return mode === 'maintenance' && report?.leaving.length === 0;
}
