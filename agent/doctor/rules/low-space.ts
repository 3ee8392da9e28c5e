import type { Space } from '../../disks/pool-watch.ts';
import type { Finding } from '../findings.ts';
import type { DoctorLimits, Rule } from '../world.ts';

const LOW_SHARE = 0.1;
const FULL_SHARE = 0.03;

export const isLow = ({ freeMiB, totalMiB }: Space, { lowSpaceMiB }: DoctorLimits) =>
  freeMiB < lowSpaceMiB || freeMiB < totalMiB * LOW_SHARE;

/** A guest that asks for more may be stopped at any moment. */
export const isFull = ({ freeMiB, totalMiB }: Space, { fullSpaceMiB }: DoctorLimits) =>
  freeMiB < fullSpaceMiB || freeMiB < totalMiB * FULL_SHARE;

export const lowSpace: Rule<Finding> = ({ spaces }, _nowMs, limits) =>
  spaces
    .filter((space) => isLow(space, limits) || isFull(space, limits))
    .map((space) => {
      const full = isFull(space, limits);
      const what = space.name === null ? 'the image cache' : `pool ${space.name}`;
      const effect =
        space.name !== null && full
          ? ': nothing new is placed there, and its guests stop when they need more'
          : '';
      return {
        kind: 'low-space',
        subject: space.path,
        severity: full ? 'error' : 'warning',
        message: `${what} has ${space.freeMiB} of ${space.totalMiB} MiB left${effect}`,
        remedy:
          'Delete or move VMs, or make the file system larger: guests that stopped go on by themselves.',
        repair: null,
      };
    });
