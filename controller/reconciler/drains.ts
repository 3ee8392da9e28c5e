import type { Drain, VmRecord } from '../model/records.ts';
import type { Draft } from './draft.ts';
import { drainMsOf, endpointsOfVm } from './edge-endpoints.ts';
import { edgesOf, onAllEdges } from './edge-sights.ts';
import { change } from './instance-states.ts';

/** So long what is to take an instance's place is waited for to be served; after that it is not the instance that keeps it from that. */
const PUBLISH_LIMIT_MS = 10_000;

const endpointsFor = (draft: Draft, record: VmRecord) =>
  endpointsOfVm(draft.get('applications', record.app), record);

/** The world may have connections to it: it is ready, is published, and somebody serves it. */
export const isServed = (draft: Draft, record: VmRecord): boolean =>
  record.state === 'ready' && endpointsFor(draft, record).length > 0 && edgesOf(draft).length > 0;

/**
 * Whether a VM that is about to go, or to begin anew, is still waited for: it gets no new connection from then on, and old ones have their time to end.
 * Begins that where it has not begun. What nobody serves, or does not work, is not waited for.
 */
export function drainsBeforeItGoes(
  draft: Draft,
  record: VmRecord,
  why: string,
  how: Pick<Drain, 'inPlace'> = {},
): boolean {
  if (isServed(draft, record)) {
    const untilMs = draft.nowMs + drainMsOf(endpointsFor(draft, record));
    change(draft, record, 'draining', why, { drain: { untilMs, ...how } });
    return true;
  }
  const { state, drain } = record;
  if (state !== 'draining' || !drain || drain.untilMs <= draft.nowMs) return false;
  if (edgesOf(draft).length === 0) return false;
  return !onAllEdges(
    draft,
    record,
    record.incarnation,
    (seen) => seen?.state === 'draining' && seen.sessions === 0,
  );
}

/** Whether what is to take its place, and is ready, has yet to be served, or connections to the present one have yet to end. */
export function drainsForSuccessor(draft: Draft, record: VmRecord): boolean {
  const { successor } = record;
  if (!successor) return false;
  const isNew = isServed(draft, record) && draft.nowMs < successor.sinceMs + PUBLISH_LIMIT_MS;
  if (isNew && !onAllEdges(draft, record, successor.incarnation, (seen) => seen?.state === 'up')) return true;
  return drainsBeforeItGoes(draft, record, `incarnation ${successor.incarnation} takes its place`);
}

/** Unix ms of the next end of a wait of these; null: none waits. */
export function nextDrainMs(draft: Draft): number | null {
  let next: number | null = null;
  const consider = (timeMs: number) => {
    if (timeMs > draft.nowMs) next = Math.min(next ?? Number.POSITIVE_INFINITY, timeMs);
  };
  for (const { drain } of draft.of('vms', drainingVms)) if (drain) consider(drain.untilMs);
  if (edgesOf(draft).length > 0)
    for (const { successor } of draft.of('vms', followedVms))
      if (successor) consider(successor.sinceMs + PUBLISH_LIMIT_MS);
  return next;
}

export const drainingVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(({ drain }) => drain);

const followedVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter(({ role, successor }) => role !== null && successor?.state === 'ready');
