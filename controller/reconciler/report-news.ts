import type { Report, VmReport } from '../../agent/protocol/index.ts';
import type { VmRecord } from '../model/records.ts';
import { hasAny } from './at-rest.ts';
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
  const { vms, revisionSeen } = report;
  const isRestKnown = before ? saysTheSame({ ...before, vms, revisionSeen }, report) : tellsVmsAlone(report);
  if (!isRestKnown || isAwaited(host, cache)) return true;
  return vms.some((vm) => !isKnown(host, vm, cache.records('vms').get(vm.id)));
}

const USUAL: ReadonlySet<string> = new Set<keyof Report>([
  ...(['type', 'sequence', 'atMs', 'bootId', 'blobs', 'metrics'] as const),
  ...(['revisionSeen', 'vms'] as const),
]);

/** Nothing is told in any other field. */
const tellsVmsAlone = (report: Report): boolean =>
  Object.entries(report).every(
    ([name, value]) => USUAL.has(name) || value === undefined || (Array.isArray(value) && value.length === 0),
  );

/** Of one that is or moves elsewhere, `isAwaited` has the say. */
const isKnown = (host: string, report: VmReport, record: VmRecord | undefined): boolean =>
  report.newerFound === undefined && (record?.host !== host || tellsNothing(record, report));

/** Somebody waits for this host to have looked with its newest goal: for something to be gone from it, stopped on it, or moved to or from it. */
function isAwaited(name: string, cache: WorldCache): boolean {
  const host = cache.records('hosts').get(name);
  if (!host || host.draining || (host.mode ?? 'in-service') !== 'in-service') return true;
  if (hasAny(host.superseded) || hasAny(host.copiedAway ?? {}) || cache.records('fencing').has(name))
    return true;
  for (const vm of cache.vmsOn(name))
    if (vm.deleting || vm.successor || vm.moveTo !== null || vm.power !== 'running') return true;
  for (const tombstone of cache.records('tombstones').values()) if (tombstone.host === name) return true;
  return false;
}
