import type { CephLeftover } from '../../disks/rbd/leftovers.ts';
import { goldenOf } from '../../disks/rbd/names.ts';
import { type Goal, hereOrComing } from '../../protocol/index.ts';
import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

const MESSAGES: Readonly<Record<CephLeftover['kind'], string>> = {
  golden: 'a golden image on which no disk lies, and that no machine here is to be made from',
  'half-made': 'an image that was begun, and not brought to an end for hours',
  trashed: 'an image that nothing needed, in Ceph’s trash for its time',
};

/**
 * Images in Ceph that nothing needs, as far as this host can tell. Another host may be about to need one: it imports it anew then, or
 * has its clone, and what a clone lies on is not removed by anybody.
 */
export const unneededImages: Rule<Finding> = ({ goal, leftovers }) =>
  goal === null
    ? []
    : leftovers
        .filter((leftover) => leftover.kind !== 'golden' || !isNamed(goal, leftover))
        .map((leftover) => ({
          kind: 'unneeded-image',
          // A name may be another image's at the next look: that one's time begins anew.
          subject: `rbd:${leftover.pool}/${leftover.image} ${leftover.id}`,
          severity: 'note',
          message: MESSAGES[leftover.kind],
          repair: { ...leftover, kind: 'remove-image', of: leftover.kind },
        }));

const isNamed = (goal: Goal, { pool, image }: CephLeftover): boolean =>
  hereOrComing(goal).some((vm) => vm.kind === 'machine' && vm.pool === pool && goldenOf(vm.image) === image);
