import type { MigrationReport } from '../../agent/protocol/index.ts';
import type { LiveMove } from '../model/live-move.ts';

export type SourceWord = Extract<MigrationReport, { role: 'out' }>;
export type TargetWord = Extract<MigrationReport, { role: 'in' }>;

/** What both hosts say of a machine that is handed over. Null: nothing, or nothing under the order as it is now. */
export interface HandOverSeen {
  readonly live: LiveMove;
  readonly source: SourceWord | null;
  readonly target: TargetWord | null;
  /** Its own host is proven to be dead; the one that it goes to is. */
  readonly sourceDead: boolean;
  readonly targetDead: boolean;
  /** Why it is not to go there any more; null: it is. */
  readonly calledOff: string | null;
}

export type HandOverEnd =
  /** It is there from now on. What proves it: the word of its own host's agent, of the other one's, its own host's death, or that it stands still here. */
  | { readonly kind: 'there'; readonly proof: 'source' | 'target' | 'death' | 'stands-still' }
  | { readonly kind: 'stop'; readonly reason: string; readonly failed: boolean }
  /** It is here, and nothing of it there, or nothing that ever runs. `reason`: where it was not called off, nor failed. */
  | { readonly kind: 'here'; readonly reason?: string }
  /** Where it stands still here it may run on. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'gone-here' }
  | { readonly kind: 'wait' };

/** Nothing of it runs here any more: so long the other host has to say that it runs there, and how it came. */
export const ARRIVAL_MS = 5_000;

/**
 * How a hand-over under way goes on. Pure. Neither host is believed for longer than it is heard, and what is not known is waited for:
 * the hypervisor lets one of both copies run, and a lock on the disk keeps the other one from it.
 */
export function nextOfHandOver(seen: HandOverSeen, nowMs: number): HandOverEnd {
  const { live, source, target } = seen;
  // It runs there only when the one here has stood still for good.
  if (target?.guest === 'running') return { kind: 'there', proof: 'target' };
  if (seen.sourceDead) return { kind: 'there', proof: 'death' };
  if (source === null) return { kind: 'wait' };
  if (source.guest === 'absent') {
    if (live.goneAtMs === null) return { kind: 'gone-here' };
    return nowMs < live.goneAtMs + ARRIVAL_MS ? { kind: 'wait' } : { kind: 'there', proof: 'source' };
  }
  if (live.state === 'moving') return nextWhileMoving(seen, source);
  if (source.state === 'working') return { kind: 'wait' };
  if (source.guest === 'running' || live.resume) return { kind: 'here' };
  // It may have run there: what it remembers here could be older than its disk.
  if (seen.targetDead || target?.ran) return { kind: 'there', proof: 'stands-still' };
  return target?.guest === 'absent' ? { kind: 'resume' } : { kind: 'wait' };
}

function nextWhileMoving({ calledOff }: HandOverSeen, source: SourceWord): HandOverEnd {
  if (source.state === 'failed')
    return { kind: 'stop', reason: source.message ?? 'its host gave no reason', failed: true };
  if (calledOff !== null) return { kind: 'stop', reason: calledOff, failed: false };
  // It stood still before it was handed over, or since the connection was lost at the end.
  if (source.state === 'idle' && source.guest === 'paused')
    return { kind: 'stop', reason: 'the guest stands still', failed: true };
  return { kind: 'wait' };
}
