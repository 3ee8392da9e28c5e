import type { LeaseNote } from './decide.ts';

export interface TurnSight {
  /** Boot time, ms. */
  readonly nowMs: number;
  readonly lease: LeaseNote | null;
  /** Another guard runs on this folder. */
  readonly isAnotherThere: boolean;
  /** This guard is to follow whichever was there, and to begin with a lease that is held. */
  readonly takesOver: boolean;
}

/**
 * What a guard that was just started does: two at once would write each other's notes and want one device. Pure.
 *
 * `ask`: the other one to end, then look again. A guard that takes over lets a lease that has run out be: what ran on after its
 * predecessor had ended in good order, which the controller knows of, is not to be stopped by the start of the next one. Nor does it ask
 * one to end that keeps a host without a lease fed.
 */
export function turn({ nowMs, lease, isAnotherThere, takesOver }: TurnSight): 'begin' | 'wait' | 'ask' {
  const isOver = lease !== null && !lease.released && nowMs >= lease.untilMs;
  if (isAnotherThere) return takesOver && !isOver ? 'ask' : 'wait';
  return takesOver && isOver ? 'wait' : 'begin';
}
