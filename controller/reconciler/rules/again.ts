import type { VmRecord } from '../../model/records.ts';
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
