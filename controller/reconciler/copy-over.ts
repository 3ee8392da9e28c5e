import type { HandOverEnd, HandOverSeen } from './hand-over.ts';

export interface CopySeen extends HandOverSeen {
  /** Its own host is in no record any more. */
  readonly sourceRemoved: boolean;
}

/**
 * How a hand-over goes on whose disk is copied along. Pure. No lock that both hosts see keeps two copies apart, so the record does: the one
 * there stands still until the record says that it is there, and until then the disk here is the machine's, whatever becomes of the
 * guest. It is there only when all of it is there, and the hypervisor here has nothing of it left: had it run on here for a moment, it
 * would have.
 */
export function nextOfCopy(seen: CopySeen): HandOverEnd {
  const { live, source, target, sourceRemoved } = seen;
  const isWhole = target?.landed === true;
  // With its host its disk is given up: what there is, is there.
  if (sourceRemoved) return isWhole ? { kind: 'there', proof: 'death' } : { kind: 'here' };
  // Also while it is proven to be dead: it may have run on there, and come back with all that was written.
  if (source === null) return { kind: 'wait' };
  if (source.gone && isWhole && !live.resume) return { kind: 'there', proof: 'source' };
  return live.state === 'moving' ? nextWhileMoving(seen) : nextWhileStopping(seen);
}

function nextWhileMoving({ source, target, targetDead, calledOff }: CopySeen): HandOverEnd {
  const stop = (reason: string, failed = true): HandOverEnd => ({ kind: 'stop', reason, failed });
  if (!source) return { kind: 'wait' };
  if (source.state === 'failed') return stop(source.message ?? 'its host gave no reason');
  if (calledOff !== null) return stop(calledOff, false);
  if (source.gone) {
    // All of it left here, and what came of it there is not heard, or is lost: its disk is here.
    const isLost = targetDead || target?.guest === 'absent';
    return isLost ? stop('it left its host, and did not come through') : { kind: 'wait' };
  }
  if (source.guest === 'absent' && source.state === 'idle') return stop('it ended here on its way');
  if (source.guest === 'paused' && source.state === 'idle') return stop('the guest stands still');
  return { kind: 'wait' };
}

/** What is there never ran, and never will: it may run on here whatever is heard from there. */
function nextWhileStopping({ live, source }: CopySeen): HandOverEnd {
  if (!source || source.state === 'working') return { kind: 'wait' };
  if (source.guest !== 'paused' || live.resume) return { kind: 'here' };
  return { kind: 'resume' };
}
