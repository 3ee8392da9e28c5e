import type { DiskKey } from '../disks/contract.ts';
import type { VmGoal } from '../protocol/index.ts';

/** Which disk is a VM's. */
export const diskKeyOf = ({ id, kind, pool, incarnation, knownToLeave }: VmGoal): DiskKey => ({
  pool,
  vmId: id,
  kind: kind === 'machine' ? 'machine' : 'instance',
  incarnation,
  ...(knownToLeave === undefined ? {} : { knownToLeave }),
});
