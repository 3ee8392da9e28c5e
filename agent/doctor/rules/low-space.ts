import type { Space } from '../../disks/pool-watch.ts';
import type { Finding } from '../findings.ts';
import type { DoctorLimits, Rule } from '../world.ts';

const LOW_SHARE = 0.1;
const FULL_SHARE = 0.03;

export const isLow = ({ freeMiB, totalMiB }: Space, { lowSpaceMiB }: DoctorLimits) =>
  freeMiB < lowSpaceMiB || freeMiB < totalMiB * LOW_SHARE;

/** A guest that asks for more may be stopped at any moment, or have to wait. */
export const isFull = ({ freeMiB, totalMiB, ceph }: Space, { fullSpaceMiB }: DoctorLimits) =>
  ceph?.isFull === true || freeMiB < fullSpaceMiB || freeMiB < totalMiB * FULL_SHARE;

export const lowSpace: Rule<Finding> = ({ spaces }, _nowMs, limits) =>
  spaces
    .filter((space) => isLow(space, limits) || isFull(space, limits))
    .map((space) => {
      const full = isFull(space, limits);
      const what = space.name === null ? 'the image cache' : `pool ${space.name}`;
      return {
        kind: 'low-space',
        subject: space.path,
        severity: full ? 'error' : 'warning',
        message: `${what} has ${space.freeMiB} of ${space.totalMiB} MiB left${full ? effectOf(space) : ''}`,
        remedy: space.ceph
          ? 'Delete VMs, raise the quota of the pool, or add OSDs: guests that waited go on by themselves.'
          : 'Delete or move VMs, or make the file system larger: guests that stopped go on by themselves.',
        repair: null,
      };
    });

function effectOf({ name, ceph }: Space): string {
  if (name === null) return '';
  if (!ceph) return ': nothing new is placed there, and its guests stop when they need more';
  return ceph.isFull
    ? ', and Ceph takes no writes into it: nothing new is placed there, and its guests wait'
    : ': nothing new is placed there, and its guests have to wait when there is none';
}
