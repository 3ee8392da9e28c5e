import type { HostMode, HostRecord } from '../../model/records.ts';
import { hasAny, restlessVms, vmsByHost } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { oldDisksOn } from './copied-disks.ts';

/** `draining` while something of ours is on a host that is to be emptied, `maintenance` when nothing is. Told with what is there. */
export function followModes(draft: Draft): void {
  for (const host of draft.of('hosts', notInService)) {
    const before = host.mode ?? 'in-service';
    if (before === 'in-service' && !host.draining) continue;
    if (before === 'draining' && host.draining && hasVms(draft, host)) continue;
    const left = host.draining ? leftOn(draft, host) : [];
    const isEmpty = left.length === 0 && (before === 'maintenance' || hasLooked(draft, host));
    const mode = !host.draining ? 'in-service' : isEmpty ? 'maintenance' : 'draining';
    if (mode === before) continue;
    draft.put('hosts', host.name, { ...host, mode });
    draft.tell(`host-${mode}`, host.name, `${before} ⇒ ${mode}: ${evidenceOf(mode, host, left)}`, { left });
  }
}

const notInService = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ mode, draining }) => draining || (mode ?? 'in-service') !== 'in-service');

const hasVms = (draft: Draft, { name, superseded, copiedAway }: HostRecord): boolean =>
  hasAny(superseded) || hasAny(copiedAway ?? {}) || draft.of('vms', vmsByHost).has(name);

/** Ids of what is on a host, is being made there, is kept a place there, or was not yet seen gone from there. */
function leftOn(draft: Draft, host: HostRecord): readonly string[] {
  const left = new Set([...Object.keys(host.superseded), ...oldDisksOn(draft.of('vms', restlessVms), host)]);
  for (const { id } of draft.of('vms', vmsByHost).get(host.name) ?? []) left.add(id);
  for (const { id, host: where } of draft.all('tombstones')) if (where === host.name) left.add(id);
  const report = draft.world.live.get(host.name)?.report;
  for (const id of report?.leaving ?? []) left.add(id);
  for (const { id, running } of report?.strangers ?? []) if (running) left.add(id);
  return [...left].sort();
}

/** What it says of itself is true under the newest goal. */
function hasLooked(draft: Draft, { name, state }: HostRecord): boolean {
  const live = draft.world.live.get(name);
  return state === 'up' && live?.connected === true && live.report !== null && live.acknowledged !== null;
}

function evidenceOf(mode: HostMode, host: HostRecord, left: readonly string[]): string {
  const asked = host.drain ? `${host.drain.by} asked for it` : 'it was asked for';
  if (mode === 'in-service') return 'it takes VMs again';
  if (mode === 'maintenance') return `${asked}, and nothing is left on it`;
  if (left.length === 0) return `${asked}; it has yet to look whether something is on it`;
  const shown = left.slice(0, 10).join(', ');
  return `${asked}; on it: ${shown}${left.length > 10 ? `, and ${left.length - 10} more` : ''}`;
}
