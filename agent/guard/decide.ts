/** What the agent last said of the host's lease. Boot time, ms. */
export interface LeaseNote {
  readonly untilMs: number;
  /** This host is guarded no more, and the controller knows it. */
  readonly released: boolean;
  /** The word of the guard that the controller's store has; see `GuardNote.word`. Null: none. */
  readonly toldWord: string | null;
}

export interface Sight {
  /** Boot time, ms. */
  readonly nowMs: number;
  /** Null: none came since the host's boot. */
  readonly lease: LeaseNote | null;
  /** Machines on shared pools that still run; null: nobody has looked in this round. */
  readonly remaining: number | null;
  /** `none`: this guard has no device to feed. */
  readonly watchdog: 'none' | 'closed' | 'open';
  /** The device cannot be disarmed once it is armed (nowayout): whoever stops feeding it has the host reset. */
  readonly neverStops: boolean;
  /** The guard was asked to end; null: it was not. `word` is what it has said of itself since then. */
  readonly leaving: { readonly word: string; readonly untilMs: number } | null;
}

/**
 * `stop`: every machine on a shared pool. `arm`: open the watchdog, which begins to count. `feed`: it counts from the beginning.
 * `disarm`: close it so that it counts no more. `end`: the process ends; a device that is open goes on counting.
 */
export type Action = 'stop' | 'arm' | 'feed' | 'disarm' | 'end';

/**
 * What the guard does now. Pure.
 *
 * The watchdog is armed and fed only while the lease is held, or when somebody has looked, after it ran out, and no machine on a
 * shared pool runs any more. It is disarmed only when the controller knows, in its store, that it must not rely on it.
 */
export function decide(sight: Sight): readonly Action[] {
  const { lease, watchdog, leaving } = sight;
  if (lease === null) return leaving ? ['end'] : [];
  if (lease.released) return [...release(sight), ...endIf(leaving !== null)];
  const isHeld = sight.nowMs < lease.untilMs;
  const isSafe = isHeld || sight.remaining === 0;
  const stops: Action[] = isSafe ? [] : ['stop'];
  if (leaving) return [...stops, ...leave(sight, lease, leaving, isSafe)];
  if (watchdog === 'open') return [...stops, ...(isSafe ? (['feed'] as const) : [])];
  // Opening feeds: a guard that was started again must not do it for a host that has lost its lease.
  return [...stops, ...(watchdog === 'closed' && isHeld ? (['arm'] as const) : [])];
}

const release = ({ watchdog, neverStops }: Sight): Action[] =>
  watchdog !== 'open' ? [] : neverStops ? ['feed'] : ['disarm'];

function leave(
  { nowMs, watchdog, neverStops }: Sight,
  lease: LeaseNote,
  leaving: NonNullable<Sight['leaving']>,
  isSafe: boolean,
): readonly Action[] {
  if (watchdog !== 'open') return ['end'];
  if (lease.toldWord === leaving.word) return neverStops ? ['end'] : ['disarm', 'end'];
  const feed: Action[] = isSafe ? ['feed'] : [];
  return [...feed, ...endIf(nowMs >= leaving.untilMs)];
}

const endIf = (isSo: boolean): Action[] => (isSo ? ['end'] : []);
