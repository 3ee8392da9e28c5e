import type { Finding } from '../findings.ts';
import type { DoctorWorld, LoneOwner, Rule } from '../world.ts';
import { HALF_MADE_MS } from './half-made-disks.ts';

/**
 * Who had a disk, written down where there is none: its making, or its removal, was cut short. What the goal has use for stays: of a machine
 * whose disk was taken away it says which one has to come back.
 */
export const loneOwners: Rule<Finding> = (world, nowMs) => {
  const { goal, loneOwners, busy, poolKinds, host } = world;
  if (goal === null) return [];
  return (
    loneOwners
      .filter(
        (file) => nowMs - file.modifiedMs >= HALF_MADE_MS && !busy.has(file.vmId) && !isWanted(world, file),
      )
      // In a pool that hosts share, others look after their own.
      .filter(({ pool, owner }) => poolKinds[pool] === 'local' || owner === host)
      .map(({ pool, path, vmId, incarnation }) => ({
        kind: 'lone-owner',
        subject: path,
        severity: 'note',
        message: `says who had a disk of ${vmId} that is not there`,
        // An incarnation is one host's. A machine may be about to begin on another host, which writes this very file.
        ...(poolKinds[pool] === 'local' || incarnation !== null
          ? { repair: { kind: 'remove-lone-owner', pool, path } }
          : { remedy: 'Remove it when no application declares that machine.', repair: null }),
      }))
  );
};

const isWanted = ({ goal }: DoctorWorld, { vmId, incarnation }: LoneOwner): boolean =>
  goal?.vms.some((vm) => vm.id === vmId && (incarnation === null || vm.incarnation <= incarnation)) ===
    true || goal?.tombstones.some(({ id }) => id === vmId) === true;
