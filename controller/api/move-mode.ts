import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import type { MoveMode } from '../model/live-move.ts';

/** How machines on shared pools may leave their host; neither: while they run where that is possible, else stopped. */
export const howToMove = {
  cold: z
    .boolean()
    .optional()
    .describe('Machines on shared pools are stopped for it, even where they could move while they run.'),
  live: z
    .boolean()
    .optional()
    .describe('Machines on shared pools are never stopped for it: what cannot move while it runs stays.'),
  copyStorage: z
    .boolean()
    .optional()
    .describe('Machines on local pools leave as well, while they run, and their disks are copied along.'),
};

/** @throws WeftError `bad-request` for what excludes each other. */
export function moveModeOf({
  cold,
  live,
  copyStorage,
}: {
  readonly cold?: boolean | undefined;
  readonly live?: boolean | undefined;
  readonly copyStorage?: boolean | undefined;
}): MoveMode {
  if (cold && live)
    throw new WeftError('bad-request', 'a machine is either stopped for its move, or not: cold, or live');
  if (cold && copyStorage)
    throw new WeftError(
      'bad-request',
      'a machine takes its disk along while it runs, and is not stopped for it',
      {
        remedy: 'Leave out one of both: cold, or copyStorage.',
      },
    );
  return cold ? 'cold' : live ? 'live' : 'auto';
}
