import type { VmRecord } from '../../model/records.ts';
import { successorView } from '../../model/successor.ts';
import { supersedingHosts } from '../at-rest.ts';
import type { Draft } from '../draft.ts';

/** This incarnation, and every one before it, is over on its host: as soon as the host hears of it, what of them runs there goes. */
export function supersede(draft: Draft, record: VmRecord): void {
  if (record.host !== null && record.incarnation > 0)
    supersedeOn(draft, record.host, record.id, record.incarnation);
}

export function supersedeOn(draft: Draft, name: string, vmId: string, upToIncarnation: number): void {
  const host = draft.get('hosts', name);
  if (!host) return;
  const incarnation = Math.max(host.superseded[vmId] ?? 0, upToIncarnation);
  draft.put('hosts', name, { ...host, superseded: { ...host.superseded, [vmId]: incarnation } });
}

/** Hosts that have looked at themselves with the newest goal and found nothing of a superseded VM need not hear of it again. */
export function forgetSuperseded(draft: Draft): void {
  for (const host of draft.of('hosts', supersedingHosts)) {
    const kept = Object.entries(host.superseded).filter(([id]) => isNeeded(draft, host.name, id));
    if (kept.length === Object.keys(host.superseded).length) continue;
    draft.put('hosts', host.name, { ...host, superseded: Object.fromEntries(kept) });
  }
}

function isNeeded(draft: Draft, host: string, vmId: string): boolean {
  // Its goal names the newer one.
  const record = draft.get('vms', vmId);
  if (record?.host === host || (record && successorView(record)?.host === host)) return false;
  const live = draft.world.live.get(host);
  if (!live?.connected || !live.report || live.acknowledged === null) return true;
  // Acknowledged is what the store had before this pass.
  if (draft.world.hosts.get(host)?.superseded[vmId] === undefined) return true;
  const { report, acknowledged } = live;
  return (
    acknowledged.has(vmId) ||
    report.leaving.includes(vmId) ||
    report.strangers.some((stranger) => stranger.id === vmId && stranger.running)
  );
}
