import type { Drain, VmRecord } from '../../model/records.ts';
import { drainsBeforeItGoes, isServed } from '../drains.ts';
import { change } from '../instance-states.ts';
import type { Placement } from '../placement.ts';
import { supersede } from './superseded.ts';

/** A new incarnation in place of the present one. When no host takes it, the present one stays as it is. */
export function again(
  placement: Placement,
  record: VmRecord,
  why: string,
  target: { only?: string | null; avoid?: string | null },
  patch: Partial<VmRecord> = {},
): VmRecord | null {
  const takeBack = placement.release(record);
  const placed = placement.place(
    { ...record, ...patch },
    { only: target.only ?? null, avoid: target.avoid ?? null },
    why,
  );
  if (!placed) takeBack();
  // Where it was, nothing of it is waited for.
  else if (placed.host !== record.host) supersede(placement.draft, record);
  return placed;
}

/**
 * The same for what may be served to the world: it gets no new connection from now on, and is made anew when the old ones have ended, or have
 * had their time. What no host would take keeps them.
 * @returns null also while it is waited for.
 */
export function againWhenDrained(
  placement: Placement,
  record: VmRecord,
  why: string,
  target: { only?: string | null; avoid?: string | null },
  patch: Partial<VmRecord> = {},
  how: Pick<Drain, 'inPlace'> = {},
): VmRecord | null {
  const { draft } = placement;
  const mayGo = !isServed(draft, record) || wouldTake(placement, { ...record, ...patch }, target);
  if (mayGo && drainsBeforeItGoes(draft, record, why, how)) return null;
  const placed = again(placement, record, why, target, patch);
  const current = draft.get('vms', record.id);
  if (!placed && current?.state === 'draining' && !isAlsoFor(current))
    change(draft, current, 'ready', 'no host takes it', { drain: null });
  return placed;
}

/** Its reboot, or its move without running, waits for this drain as well: to end it is theirs. */
const isAlsoFor = ({ rebootFrom, drain, role, successor }: VmRecord): boolean =>
  rebootFrom != null ||
  drain?.rebooting === true ||
  (role === null && successor != null && successor.live == null);

function wouldTake(
  placement: Placement,
  record: VmRecord,
  { only = null, avoid = null }: { only?: string | null; avoid?: string | null },
): boolean {
  const takeBack = placement.release(record);
  const would = placement.wouldTake(record, { only, avoid });
  takeBack();
  return would;
}
