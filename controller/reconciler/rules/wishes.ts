import type { MoveMode } from '../../model/live-move.ts';
import { isToGo, type Successor, type VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';

/** Why a VM is to leave its host, and where it is to go. */
export interface Wish {
  /** The one host that was named; null: any other. */
  readonly to: string | null;
  readonly why: string;
  /** Which asking it is: what failed under an earlier one is tried again. */
  readonly askedAtMs: number;
  /** How a machine may leave. */
  readonly mode: MoveMode;
  /** The disk of a machine may be copied along, where both hosts do not have it. */
  readonly copies: boolean;
}

/** Null: it may stay. */
export function wishOf(draft: Draft, record: VmRecord): Wish | null {
  if (isToGo(record) || record.host === null) return null;
  const host = draft.get('hosts', record.host);
  if (record.moveTo !== null && record.moveTo !== record.host)
    return {
      to: record.moveTo === '*' ? null : record.moveTo,
      why: 'it was moved',
      askedAtMs: 0,
      mode: record.moveMode ?? 'cold',
      copies: record.moveCopies === true,
    };
  if (!host?.draining) return null;
  return {
    to: null,
    why: `host ${host.name} drains`,
    askedAtMs: host.drain?.atMs ?? 0,
    copies: host.drain?.copies === true,
    mode: host.drain?.cold ? 'cold' : host.drain?.live ? 'live' : 'auto',
  };
}

/** It works, is to leave, and can be followed by a successor: nothing else takes it down meanwhile. */
export const leavesReady = (draft: Draft, record: VmRecord): boolean =>
  record.role !== null &&
  isWorthWaitingFor(record) &&
  record.host !== null &&
  draft.get('hosts', record.host)?.state === 'up' &&
  wishOf(draft, record) !== null;

/** A host was named after this successor was begun on another one. */
export const isElsewhere = (wish: Wish | null, { host }: Pick<Successor, 'host'>): boolean =>
  wish !== null && wish.to !== null && wish.to !== host;

export const works = ({ state }: Pick<VmRecord, 'state'>): boolean =>
  state === 'ready' || state === 'unready';

const BEGUN_AGAIN: ReadonlySet<VmRecord['state']> = new Set(['fetching', 'booting', 'starting']);

/**
 * It was ready at this incarnation, and its host has it still. An agent that begins anew says `booting` of what runs on all the
 * while, and a guest that reboots comes back: neither is taken for a loss.
 */
export const isWorthWaitingFor = (record: Pick<VmRecord, 'state' | 'readyAtMs'>): boolean =>
  works(record) || (record.readyAtMs !== null && BEGUN_AGAIN.has(record.state));
