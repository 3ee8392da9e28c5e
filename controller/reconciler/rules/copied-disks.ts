import type { LastMove } from '../../model/live-move.ts';
import type { HostRecord, VmRecord } from '../../model/records.ts';
import { hasAny, restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';

/**
 * Of a machine that stood still where it came to, how long is told when it is ready there.
 * The disk that a machine had before it went to another host with a copy of it: kept until the machine is ready there, then removed by
 * its old host. That host is to remove it is on the host's record, so it is done whatever becomes of the machine.
 */
export function followCopiedDisks(draft: Draft): void {
  for (const record of draft.of('vms', restlessVms)) {
    if (!(record.copiedFrom || record.landing) || !(record.state === 'ready' || record.deleting)) continue;
    draft.put('vms', record.id, letGo(draft, { ...withArrival(draft, record), landing: null }));
  }
  forgetRemoved(draft);
}

/** How it came, as its host says now that it runs there. */
function withArrival(draft: Draft, record: VmRecord): VmRecord {
  const report = draft.world.live.get(String(record.host))?.report?.vms.find(({ id }) => id === record.id);
  if (!record.lastMove || record.deleting) return record;
  // It did not come as far as that, and was begun anew.
  if (record.landing && record.landing !== record.incarnation) return record;
  const arrival = report?.incarnation === record.incarnation ? report.arrival : undefined;
  const lastMove = { ...record.lastMove, ...arrival };
  tellMigrated(draft, record.id, lastMove);
  return { ...record, lastMove };
}

export function tellMigrated(draft: Draft, vmId: string, move: LastMove): void {
  const { from, to, downtimeMs, totalMs, way } = move;
  const took =
    downtimeMs === null || totalMs === null
      ? ''
      : `; it stood still for ${downtimeMs} ms, and all of it took ${totalMs} ms${way === 'relayed' ? ', through the controller' : ''}`;
  draft.tell('vm-migrated', vmId, `from ${from} to ${to} while it ran${took}`, { ...move });
}

/** Its old disk goes. @returns the record without it. */
export function letGo(draft: Draft, record: VmRecord): VmRecord {
  const { copiedFrom: from } = record;
  const host = from ? draft.get('hosts', from.host) : undefined;
  if (from && host) {
    const incarnation = Math.max(host.copiedAway?.[record.id] ?? 0, from.incarnation);
    draft.put('hosts', host.name, { ...host, copiedAway: { ...host.copiedAway, [record.id]: incarnation } });
    draft.tell(
      'vm-old-disk-goes',
      record.id,
      `the disk that it had on ${host.name} is removed: it is ${record.deleting ? 'deleted' : `ready on ${record.host} with its copy`}`,
      { host: host.name, upToIncarnation: incarnation },
    );
  }
  return { ...record, copiedFrom: null };
}

/** Hosts that are to remove disks of machines that work elsewhere. */
const copiedAwayHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ copiedAway }) => copiedAway !== undefined && hasAny(copiedAway));

/** Some host has yet to remove a disk of it: one that is made anew under its name must not find that. */
export function hasOldDisk(draft: Draft, vmId: string): boolean {
  for (const { copiedAway } of draft.of('hosts', copiedAwayHosts))
    if (copiedAway?.[vmId] !== undefined) return true;
  return false;
}

/** A host that has looked at itself with the newest goal and found none of it need not hear of it again. */
function forgetRemoved(draft: Draft): void {
  for (const host of draft.of('hosts', copiedAwayHosts)) {
    const all = Object.entries(host.copiedAway ?? {});
    const kept = all.filter(([id]) => !isRemoved(draft, host.name, id));
    if (kept.length < all.length)
      draft.put('hosts', host.name, { ...host, copiedAway: Object.fromEntries(kept) });
  }
}

function isRemoved(draft: Draft, host: string, vmId: string): boolean {
  const record = draft.get('vms', vmId);
  // It has come back: its new disk is the machine's.
  if (record?.host === host) return true;
  // It is on its way back, and its host tells nothing of what is there of it.
  if (record?.successor?.host === host) return false;
  const live = draft.world.live.get(host);
  if (!live?.connected || !live.report || live.acknowledged === null) return false;
  // Acknowledged is what the store had before this pass.
  if (draft.world.hosts.get(host)?.copiedAway?.[vmId] === undefined) return false;
  return !live.acknowledged.has(vmId) && !live.report.leaving.includes(vmId);
}

/** Ids of machines of which a host has, or had until now, the disk that they have no more. */
export function oldDisksOn(vms: readonly VmRecord[], host: HostRecord): readonly string[] {
  const kept = vms.filter(({ copiedFrom }) => copiedFrom?.host === host.name).map(({ id }) => id);
  return [...kept, ...Object.keys(host.copiedAway ?? {})];
}
