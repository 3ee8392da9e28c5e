import { isStorageFence } from '../../../agent/protocol/index.ts';
import type { FenceRequest } from '../../fencing/contract.ts';
import type { FencingRecord, HostRecord, VmRecord } from '../../model/records.ts';
import { downHosts } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { sharedPoolOf } from '../shared-pools.ts';
import { isHeld } from './holding.ts';
import { storageProofOf } from './storage-fences.ts';

/** Takes in what fence devices and operators said of hosts that are down: `down → fenced` by a proof, and nothing else. */
export function takeProofsIn(draft: Draft): void {
  for (const record of [...draft.all('fencing')]) {
    const host = draft.get('hosts', record.host);
    if (host?.state === 'fenced') continue;
    // It came back, or went down another time: what was found out then says nothing about now.
    if (host?.state !== 'down' || host.stateSinceMs !== record.downSinceMs) forget(draft, record);
    else follow(draft, host, record);
  }
}

/** All but the storage that the host is still shut out of. */
function forget(draft: Draft, record: FencingRecord): void {
  if (!record.storage?.length) draft.delete('fencing', record.host);
  else if (record.tried > 0 || record.proof)
    draft.put('fencing', record.host, { ...record, attempts: [], tried: 0, proof: null });
}

function follow(draft: Draft, host: HostRecord, record: FencingRecord): void {
  const known = host.fencing?.attempts ?? 0;
  const fresh = record.attempts.slice(Math.max(0, record.attempts.length - (record.tried - known)));
  for (const attempt of fresh.filter(({ off }) => !off))
    draft.tell('fence-failed', host.name, `${attempt.device}: ${attempt.message}`, {
      device: attempt.device,
    });
  for (const { device, off, message } of fresh)
    if (off && !record.proof) draft.tell('storage-fenced', host.name, `${device}: ${message}`, { device });
  const last = record.attempts.at(-1);
  const fencing = last
    ? {
        ...{ attempts: record.tried, message: `${last.device}: ${last.message}` },
        ...(last.off && !record.proof ? { isShutOut: true } : {}),
      }
    : host.fencing;
  const { proof } = record;
  if (!proof) {
    if (record.tried > known) draft.put('hosts', host.name, { ...host, fencing });
    return;
  }
  draft.put('hosts', host.name, {
    ...host,
    ...{ state: 'fenced', evidence: proof.detail, proof, fencing, stateSinceMs: draft.nowMs },
  });
  draft.tell('host-fenced', host.name, `down ⇒ fenced: ${proof.detail}`, { proof });
}

/** Hosts that are down, have something that another host could go on with, and can be fenced. None while healing holds still. */
export function fenceRequests(draft: Draft, holds: boolean): readonly FenceRequest[] {
  const down = draft.of('hosts', downHosts).filter((host) => !holds || !isHeld(draft, host));
  if (down.length === 0) return [];
  const needed = new Set<string | null>();
  for (const vm of draft.all('vms')) {
    if (!vm.deleting && outlivesItsHost(draft, vm) && storageProofOf(draft, vm) === null) needed.add(vm.host);
    if (vm.successor && mayRunElsewhere(vm)) needed.add(vm.successor.host);
  }
  if (needed.size === 0) return [];
  return down
    .filter(({ name }) => needed.has(name))
    .map((host) => ({ host: host.name, downSinceMs: host.stateSinceMs, devices: devicesOf(host) }))
    .filter(({ devices }) => devices.length > 0);
}

/**
 * It did not go, and does not run where it was: whether it ran on the other host only that can say, or its death. One that stands still
 * there has not: it waits for the record.
 */
const mayRunElsewhere = ({ successor }: VmRecord): boolean =>
  successor?.live?.state === 'stopping' && !successor.live.copy && !successor.live.standsStill;

/** A storage fence is of use only to a host that has such storage. */
function devicesOf({ offer }: HostRecord): FenceRequest['devices'] {
  const hasRbd = offer?.pools.some(({ kind }) => kind === 'rbd') === true;
  return (offer?.fence ?? []).filter((device) => hasRbd || !isStorageFence(device));
}

/** A machine whose disk other hosts can open as well. */
export function outlivesItsHost(draft: Draft, record: VmRecord): boolean {
  if (record.kind !== 'machine' || record.host === null) return false;
  return sharedPoolOf(draft.get('hosts', record.host), record.pool) !== undefined;
}
