import type { DiskView } from '../disks/contract.ts';
import type { DomainView } from '../hypervisor/driver.ts';
import { type Goal, hereOrComing } from '../protocol/index.ts';

/** Ids of what a goal speaks of as of something that is here, or comes here. */
export const expected = (goal: Goal): ReadonlySet<string> => new Set(hereOrComing(goal).map(({ id }) => id));

/** How far the disk of a machine is that was copied here; undefined: there is none, or it is a disk like any other. */
export const copyOf = (vmId: string, disks: readonly DiskView[]): DiskView['copy'] =>
  disks.find((disk) => disk.kind === 'machine' && disk.vmId === vmId && disk.copy)?.copy;

/** The word that a machine works elsewhere with a copy of the disk that it had here. */
export const movedAway = (goal: Goal, vmId: string) => goal.copiedAway?.find(({ id }) => id === vmId);

/**
 * Half a copy that nobody waits for any more. What is half was never run here: its old host has the disk, or had it. That of an earlier
 * machine of this name would be in the way of one that is new here, and has no disk anywhere.
 */
export const isLeftHalf = (goal: Goal, { kind, vmId, copy }: DiskView): boolean =>
  kind === 'machine' &&
  copy?.state === 'half' &&
  (!expected(goal).has(vmId) || isNewHere(goal, vmId, copy.incarnation));

function isNewHere({ vms, incoming }: Goal, vmId: string, copied: number): boolean {
  const here = vms.find(({ id }) => id === vmId);
  const comes = incoming?.some(({ vm }) => vm.id === vmId) ?? false;
  return !comes && here !== undefined && here.diskIncarnation === 0 && here.incarnation !== copied;
}

/** One that came here and never ran here, and that nobody waits for any more. */
export const isLeftStill = (goal: Goal, { mark, state }: DomainView): boolean =>
  mark?.standsStill === true && state === 'paused' && !expected(goal).has(mark.id);
