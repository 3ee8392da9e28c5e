import { type CopySeen, nextOfCopy } from './copy-over.ts';
import type { HandOverEnd } from './hand-over.ts';

/**
 * How a hand-over goes on whose disk both hosts have, and no lock keeps two from writing. Pure. As with a disk that is copied along, the record
 * decides: what has come there stands still until the record says that it is there, so until then it is here, whatever is heard, and
 * nobody has to be proven dead but its own host. Unlike there, a machine does not go down with its own host: its disk is elsewhere as well.
 * @param seen `sourceDead` and `targetDead` also where a host is shut out of the disk: what has it open there cannot write any more, and is
 *   not let run on. `targetDead` also where that host is silent: it has not been told that it may run.
 */
export function nextOfStandingStill(seen: CopySeen): HandOverEnd {
  if (seen.sourceDead || seen.sourceRemoved)
    // It may have run on here after all of it was there: what is there could be older than the disk. So it is started from that.
    return { kind: 'here', reason: 'its own host cannot write its disk any more' };
  return nextOfCopy(seen.targetDead ? { ...seen, target: null } : seen);
}
