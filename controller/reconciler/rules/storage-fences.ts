import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type { LiftRequest } from '../../fencing/contract.ts';
import { isHandedOver } from '../../model/live-move.ts';
import type { HostRecord, Proof, StorageFence, VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { standingFences } from '../fenced-pools.ts';
import { change } from '../instance-states.ts';
import type { Placement } from '../placement.ts';
import { dropSuccessor } from '../successors.ts';
import { again } from './again.ts';
import { supersede } from './superseded.ts';

/** That a machine's host was shut out of the machine's disk, in the death that it is in now. Null: nothing says so. */
export function storageProofOf(draft: Draft, { host: name, poolId }: VmRecord): Proof | null {
  const host = name === null ? undefined : draft.get('hosts', name);
  if (host?.state !== 'down' || poolId === null) return null;
  const fence = draft
    .get('fencing', host.name)
    ?.storage?.find((each) => each.downSinceMs === host.stateSinceMs && covers(each, poolId));
  return fence?.proof ?? null;
}

/** Whether a host was shut out of a pool, and was not let in since, whatever became of it. */
export const isShutOut = (draft: Draft, host: string | null, poolId: string | null): boolean =>
  host !== null &&
  poolId !== null &&
  draft.get('fencing', host)?.storage?.some((fence) => fence.proof !== null && covers(fence, poolId)) ===
    true;

const covers = ({ pools, lifted }: StorageFence, poolId: string) => !lifted && pools.includes(poolId);

/**
 * A host that is back, and was shut out: what it still has of machines is dead, though it may look alive. It is given up there, and
 * made anew; where, is for the machine's other hosts first. When nothing of it is left, the host is let in (`storageLifts`).
 */
export function followStorageFences(draft: Draft, placement: Placement): void {
  for (const record of [...draft.all('fencing')]) {
    const host = draft.get('hosts', record.host);
    if (host?.state !== 'up') continue;
    for (const fence of record.storage ?? []) {
      if (fence.lifted) finish(draft, placement, host, fence);
      else if (fence.proof) leave(draft, placement, host, fence, fence.proof);
    }
  }
}

const machinesOn = (draft: Draft, { name }: HostRecord, { pools }: StorageFence): VmRecord[] =>
  [...draft.all('vms')].filter(
    (vm) => vm.kind === 'machine' && vm.host === name && vm.poolId !== null && pools.includes(vm.poolId),
  );

function leave(
  draft: Draft,
  placement: Placement,
  host: HostRecord,
  fence: StorageFence,
  proof: Proof,
): void {
  for (const found of machinesOn(draft, host, fence)) {
    // A delete takes its own way: the disk goes, and with it what runs.
    if (found.deleting) continue;
    const why = `its host ${host.name} was shut out of its disk`;
    const placed = again(placement, found, why, { avoid: host.name }, { proof, failures: 0 });
    if (!placed) giveUp(draft, placement, draft.get('vms', found.id) ?? found, why, proof);
    draft.tell(
      'machine-restarted',
      found.id,
      `${placed ? `incarnation ${placed.incarnation} on ${placed.host}` : why}: ${proof.detail}`,
      {
        from: host.name,
        to: placed?.host ?? null,
        proof,
      },
    );
  }
}

/** It is nowhere for a while: its own host takes it again as soon as it is let in. */
function giveUp(draft: Draft, placement: Placement, found: VmRecord, why: string, proof: Proof): void {
  const record = dropSuccessor(draft, placement, found, why);
  placement.release(record);
  supersede(draft, record);
  const nowhere = { host: null, phase: null, overlay: null, readyAtMs: null, retryAtMs: null };
  change(draft, record, 'pending', why, { ...nowhere, proof });
}

/** Let in again. What was never proven to be shut out may have been all the same, and what runs may have been hurt: it is made anew where it is. */
function finish(draft: Draft, placement: Placement, host: HostRecord, fence: StorageFence): void {
  if (!fence.proof && !fence.wasNever)
    for (const machine of machinesOn(draft, host, fence)) {
      if (machine.deleting) continue;
      const why = `host ${host.name} may have been shut out of its disk`;
      // Its host has yet to see that it is let in.
      if (!again(placement, machine, why, { only: host.name }, { failures: 0 })) return;
    }
  const record = draft.get('fencing', host.name);
  if (!record) return;
  const storage = record.storage?.filter((each) => !isSameDocument(each, fence)) ?? [];
  if (storage.length > 0) draft.put('fencing', host.name, { ...record, storage });
  else draft.delete('fencing', host.name);
  draft.tell('storage-fence-lifted', host.name, 'it may use its storage again', {
    device: fence.device.agent,
  });
}

/**
 * Hosts that are alive, and have nothing left that another host may have by now: their report was made under the newest goal, nothing
 * superseded is left, and no machine runs there that no goal names.
 */
export function storageLifts(draft: Draft): readonly LiftRequest[] {
  return [...draft.all('fencing')].flatMap((record) => {
    const host = draft.get('hosts', record.host);
    if (!host || !isClean(draft, host)) return [];
    return standingFences(record)
      .filter((fence) => fence.proof === null || machinesOn(draft, host, fence).length === 0)
      .filter((fence) => !isExpected(draft, host, fence))
      .map((fence) => ({ host: host.name, fence }));
  });
}

/** A machine may be on its way there: what has come of it has its disk open, as a client that Ceph has shut out. */
const isExpected = (draft: Draft, { name }: HostRecord, { pools }: StorageFence): boolean =>
  [...draft.all('vms')].some(
    (vm) => isHandedOver(vm) && vm.successor?.host === name && pools.includes(vm.poolId ?? ''),
  );

function isClean(draft: Draft, { name, state, superseded }: HostRecord): boolean {
  const live = draft.world.live.get(name);
  return (
    state === 'up' &&
    Object.keys(superseded).length === 0 &&
    live?.connected === true &&
    live.acknowledged !== null &&
    live.report?.strangers.some(({ running }) => running) === false
  );
}
