import type { EdgeReport } from '../protocol/index.ts';
import type { NamesKeeper } from './keeper.ts';

const NOTHING: EdgeReport = { endpoints: [], held: [], missing: [] };

/** What an edge host serves, with the names that it serves. Undefined: neither, and it lacks nothing for either. */
export function withNames(
  served: EdgeReport | undefined,
  { names, missing }: ReturnType<NamesKeeper['report']>,
): EdgeReport | undefined {
  if (names === undefined && missing.length === 0) return served;
  const base = served ?? NOTHING;
  return {
    ...base,
    ...(names === undefined ? {} : { names }),
    missing: [...new Set([...base.missing, ...missing])],
  };
}
