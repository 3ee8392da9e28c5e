import { WeftError } from '../kit/errors.ts';
import type { DiskKey } from './contract.ts';
import type { Owner } from './owner.ts';

/** A machine goes on with the very disk that its last incarnation had, or not at all: never with an older copy, never with an empty one. */
export function requireDisk(
  key: DiskKey,
  path: string,
  { owner, present, last, shared }: { owner: Owner | null; present: boolean; last: number; shared: boolean },
): void {
  const details = { disk: path, owner, last };
  requireNotSuperseded(key, path, owner);
  // Whoever is told to run it as what it was copied for, or as what followed on that, has it from the controller that it is whole.
  if (owner?.copy === 'half' && owner.incarnation !== key.incarnation && owner.incarnation !== last)
    throw new WeftError('conflict', `what there is of ${key.vmId} in pool ${key.pool} is half a copy`, {
      remedy: 'Nothing is to be done: its disk is where it came from.',
      details,
    });
  requireNotLeft(key, path, owner);
  if (last === 0) return;
  if (!present)
    throw new WeftError(
      'not-found',
      `the disk of ${key.vmId} is not in pool ${key.pool}: ${path} is not there`,
      {
        remedy:
          'Put it back from where it went, or delete the machine and apply its model again to begin with a fresh disk.',
        details,
      },
    );
  if (shared && (owner?.incarnation ?? 0) < last)
    throw new WeftError(
      'conflict',
      `pool ${key.pool} has a disk of ${key.vmId} of incarnation ${owner?.incarnation ?? 'unknown'}, and the last one was ${last}: it is another pool, or a copy`,
      { remedy: 'Mount the same storage on every host that offers the pool under this name.', details },
    );
}

/** A controller that knows of no way on which its machine left has a store from before that. One that does has decided where it is. */
function requireNotLeft({ vmId, pool, knownToLeave }: DiskKey, path: string, owner: Owner | null): void {
  const { left } = owner ?? {};
  if (!left || knownToLeave === undefined || knownToLeave >= left.incarnation) return;
  throw new WeftError(
    'conflict',
    `the disk of ${vmId} in pool ${pool} is an old one: it went to ${left.to} with its machine, as incarnation ${left.incarnation}, of which the controller knows nothing`,
    {
      remedy: `The controller's store is from before that. Delete the machine, which removes this disk; then apply its model again while ${left.to} is up: it is adopted there.`,
      details: { disk: path, owner },
    },
  );
}

/** Whoever is of an older incarnation than the disk's owner has it no more. */
export function requireNotSuperseded(key: DiskKey, path: string, owner: Owner | null): void {
  if (owner === null || owner.incarnation <= key.incarnation) return;
  throw new WeftError(
    'conflict',
    `the disk of ${key.vmId} is in use at incarnation ${owner.incarnation} by ${owner.host}; this is ${key.incarnation}`,
    { remedy: 'Nothing is to be done: this copy is over.', details: { disk: path, owner } },
  );
}
