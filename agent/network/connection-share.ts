import { isNearlyFull, NEARLY_FULL } from '../protocol/index.ts';

/** How many connections a guest may begin: so many a second, and so many at once after a pause. */
export interface Pace {
  readonly perSecond: number;
  readonly burst: number;
}

/** The kernel's table of connections, which all guests of a host and the host itself share. Who finds it full cannot connect at all. */
export interface TableFill {
  readonly count: number;
  readonly max: number;
}

/** What of guests' connections is held down. */
export interface ConnectionShare {
  /** Null: they begin as many as they like. */
  readonly pace: Pace | null;
  /** Addresses of those that begin none for now. */
  readonly barred: readonly string[];
}

export const WHOLE: ConnectionShare = { pace: null, barred: [] };

/** Where the kernel does not say how large its table is: what it is on a machine with 4 GiB of memory and more. */
const USUAL_MAX = 262_144;
/** Between two looks at the table five guests that do their worst do not fill the quarter of it that is left when they are barred. */
const SECONDS_TO_FILL = 32;

/** @param wanted of the host's configuration. Absent: it follows from the table's size. */
export function paceOf(max: number | null, wanted: number | 'off' | undefined): Pace | null {
  if (wanted === 'off') return null;
  const perSecond = wanted ?? Math.max(1, Math.floor((max ?? USUAL_MAX) / SECONDS_TO_FILL));
  return { perSecond, burst: perSecond };
}

/**
 * Who begins no connection until there is room again: of a table that is nearly full those that have most of it, as few as will do. The rest of
 * all guests has three eighths of the table then.
 * @param counts connections that each guest has begun.
 */
export function crowding(counts: ReadonlyMap<string, number>, fill: TableFill): readonly string[] {
  if (!isNearlyFull(fill)) return [];
  const crowd: string[] = [];
  let left = [...counts.values()].reduce((sum, each) => sum + each, 0);
  for (const [guest, count] of [...counts].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1))) {
    if (left <= (fill.max * NEARLY_FULL) / 2) break;
    crowd.push(guest);
    left -= count;
  }
  return crowd;
}
