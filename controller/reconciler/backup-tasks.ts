import type { BackupTask, HostOffer, RestoreGoal } from '../../agent/protocol/index.ts';
import { isHandedOver } from '../model/live-move.ts';
import type { BackupRecord, HostRecord } from '../model/records.ts';
import type { World } from './world.ts';

/** What one host is to do with backups, in the order of their names. */
export function backupTasksFor(host: string, world: Pick<World, 'backups' | 'vms'>): BackupTask[] {
  const tasks: BackupTask[] = [];
  for (const record of world.backups.values()) {
    const { vmId, id, target, state, restore, made } = record;
    const which = { vmId, id, target };
    if (state === 'wanted' && record.host === host) {
      const vm = world.vms.get(vmId);
      // The hypervisor does one of both: copy its disk, or hand it over.
      if (vm?.host === host && !vm.deleting && !isHandedOver(vm)) tasks.push({ task: 'make', ...which });
    }
    if (state === 'removing' && record.host === host) tasks.push({ task: 'remove', ...which });
    if (state === 'done' && made && restore?.state === 'verifying' && restore.host === host) {
      const { digest, sizeBytes } = made;
      tasks.push({ task: 'verify', ...which, request: restore.request, digest, sizeBytes });
    }
  }
  return tasks.sort((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1));
}

/** Machines whose backup is not made yet. To be asked of a draft: `draft.of('backups', beingBackedUp)`. */
export const beingBackedUp = (backups: readonly BackupRecord[]): ReadonlySet<string> =>
  new Set(backups.filter(({ state }) => state === 'wanted').map(({ vmId }) => vmId));

const orderOf = ({ vmId, id, task }: BackupTask) => `${vmId} ${id} ${task}`;

/** The place of this name that a host offers for backups: a folder for them, or a pool. Null: none. */
export function targetOn(
  offer: Pick<HostOffer, 'backups' | 'pools'> | null | undefined,
  name: string,
): { readonly name: string; readonly id: string | null } | null {
  // An agent of before backups says nothing of them, and would start a machine on an empty disk.
  if (!offer?.backups) return null;
  // A pool in Ceph has no folders.
  const pools = offer.pools.filter(({ kind }) => kind !== 'rbd');
  const found = [...offer.backups, ...pools].find((each) => each.name === name);
  return found ? { name, id: found.id ?? null } : null;
}

/** It has the very folder that the backup lies in. */
export function canRead(
  host: HostRecord,
  backup: Pick<BackupRecord, 'host' | 'target' | 'targetId'>,
): boolean {
  const target = targetOn(host.offer, backup.target);
  return (
    target !== null && target.id === backup.targetId && (target.id !== null || host.name === backup.host)
  );
}

/** Hosts that are up and have the backup, the one that made it first. */
export function readersOf(
  hosts: Iterable<HostRecord>,
  backup: Pick<BackupRecord, 'host' | 'target' | 'targetId'>,
): readonly string[] {
  return [...hosts]
    .filter((host) => host.state === 'up' && canRead(host, backup))
    .map(({ name }) => name)
    .sort(
      (one, other) => Number(other === backup.host) - Number(one === backup.host) || (one < other ? -1 : 1),
    );
}

/** How a machine's disk is told to become a backup. */
export function restoreGoalOf(record: BackupRecord, request: string, since: number): RestoreGoal | null {
  const { vmId, id, target, made } = record;
  if (record.state !== 'done' || !made) return null;
  return { request, since, vmId, id, target, digest: made.digest, sizeBytes: made.sizeBytes };
}
