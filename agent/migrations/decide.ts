import type { GuestSeen, OutgoingMigration } from '../protocol/index.ts';

/** What there is of a machine that is to leave. */
export interface DepartureSeen {
  readonly guest: GuestSeen;
  /** What libvirt does with it. */
  readonly job: 'none' | 'migration' | 'other';
  /** A call of this agent's is under way. */
  readonly isOurs: boolean;
  /** It was tried under this order, and did not go. */
  readonly hasFailed: boolean;
  /** It was let run on under this order. */
  readonly wasResumed: boolean;
}

export type DepartureAct = 'begin' | 'abort' | 'resume' | 'wait';

/** What is to be done now of a hand-over on the host that gives. Pure. A guest that is down, for whatever reason, is not started again. */
export function nextAct(
  order: Pick<OutgoingMigration, 'order' | 'resume'>,
  seen: DepartureSeen,
): DepartureAct {
  if (order.order === 'stop') {
    if (seen.isOurs || seen.job === 'migration') return 'abort';
    return seen.guest === 'paused' && order.resume && !seen.wasResumed ? 'resume' : 'wait';
  }
  if (seen.isOurs) return 'wait';
  // Begun by an agent before this one, whose tunnel ended with it.
  if (seen.job === 'migration') return 'abort';
  return seen.guest === 'running' && seen.job === 'none' && !seen.hasFailed ? 'begin' : 'wait';
}

/** How it stands, for the controller to go by. */
export function stateOf(
  order: Pick<OutgoingMigration, 'order' | 'resume'>,
  seen: DepartureSeen,
): 'idle' | 'working' | 'failed' {
  const act = nextAct(order, seen);
  if (seen.isOurs || seen.job === 'migration' || act === 'resume') return 'working';
  return seen.hasFailed ? 'failed' : 'idle';
}
