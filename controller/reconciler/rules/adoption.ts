import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { standingFences } from '../fenced-pools.ts';
import { telling } from '../live-hosts.ts';
import type { LiveHost } from '../world.ts';

/** Where a machine's disk was found that no record speaks of: the store was lost, or an older one was restored. */
export interface Home {
  readonly host: string;
  /** The highest that its host knows of it. */
  readonly incarnation: number;
}

/** Every host in session that has a disk of this machine and was not told of it. */
export function homesOf(draft: Draft, record: Pick<VmRecord, 'id' | 'kind'>): readonly Home[] {
  if (record.kind !== 'machine') return [];
  const homes: Home[] = [];
  for (const [host, live] of draft.world.live) {
    if (!live.connected || draft.get('hosts', host)?.state !== 'up') continue;
    // What a host was shut out of is not for it to go on with before it is let in.
    if (standingFences(draft.get('fencing', host)).length > 0) continue;
    const stranger = live.report?.strangers.find(({ id }) => id === record.id);
    if (stranger) homes.push({ host, incarnation: stranger.incarnation });
  }
  return homes;
}

/** Ids of VMs of which some host has a newer incarnation than its goal's. */
export function forgottenIds(draft: Draft): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { report } of telling(draft.world.live, tellsOfNewer).values())
    for (const { id, newerFound } of report?.vms ?? []) if (newerFound !== undefined) ids.add(id);
  return ids;
}

const tellsOfNewer = ({ connected, report }: LiveHost): boolean =>
  connected && report !== null && hasNewer(report.vms);

/** What hosts say of their VMs, where none is newer than its goal: nearly always. It never changes. */
const noneNewer = new WeakSet<readonly VmReport[]>();

function hasNewer(vms: readonly VmReport[]): boolean {
  if (vms.length === 0 || noneNewer.has(vms)) return false;
  if (vms.some(({ newerFound }) => newerFound !== undefined)) return true;
  noneNewer.add(vms);
  return false;
}

/** An incarnation of this VM that runs on its host and is newer than the record: what the store forgot. Null: none. */
export function forgottenIncarnation(draft: Draft, record: VmRecord): number | null {
  if (record.host === null) return null;
  const live = draft.world.live.get(record.host);
  if (!live?.connected) return null;
  const report = live.report?.vms.find(({ id }) => id === record.id);
  // A report on another incarnation was made under an older goal.
  if (report?.incarnation !== record.incarnation || report.newerFound === undefined) return null;
  return report.newerFound > record.incarnation ? report.newerFound : null;
}
