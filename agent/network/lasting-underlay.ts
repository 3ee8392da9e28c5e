import { isIP } from 'node:net';
import type { UnderlayOffer } from '../protocol/index.ts';
import { MOST_ADDRESSES, toldNetworks } from './told-networks.ts';
import type { Underlay } from './underlay.ts';

/** How long what is not there any more counts on, ms: longer than a switch takes to boot, and a host to get its address again. */
export const LASTS_MS = 600_000;
/** Of what is gone, in each list. */
const MOST_GONE = 1_024;

/** What was seen of the underlay, and when last, Unix ms. */
export interface SeenUnderlay {
  readonly offer: { readonly offer: UnderlayOffer; readonly atMs: number } | null;
  readonly guarded: ReadonlyMap<string, number>;
  readonly never: ReadonlyMap<string, number>;
}

/** @param underlay as it was when that was written down, however long ago: it counts as seen now. */
export const seenOf = ({ offer, guarded, never }: Underlay, nowMs: number): SeenUnderlay => ({
  offer: offer && { offer, atMs: nowMs },
  guarded: new Map(guarded.map((each) => [each, nowMs])),
  never: new Map(never.map((each) => [each, nowMs])),
});

/**
 * An address that is gone for a moment is the host's all the same: others go on sending to it, and no guest is let through to it when it is
 * back. Another address to be reached at counts at once, beside what is kept out of guests' reach of the old one.
 * @returns what counts, and what is to be remembered for the next time.
 */
export function lastingOf(
  before: SeenUnderlay,
  now: Underlay,
  nowMs: number,
): { readonly seen: SeenUnderlay; readonly underlay: Underlay } {
  const seen = {
    offer: now.offer ? { offer: now.offer, atMs: nowMs } : stillOffered(before, nowMs),
    guarded: add(before.guarded, now.guarded, nowMs),
    never: add(before.never, now.never, nowMs),
  };
  const never = [...seen.never.keys()];
  const isNetwork = (each: string) => each.includes('/');
  const offer = seen.offer && {
    ...seen.offer.offer,
    own: never
      .filter((each) => isIP(each) !== 0)
      .slice(0, MOST_ADDRESSES)
      .sort(),
    closed: toldNetworks(never.filter(isNetwork)),
  };
  return { seen, underlay: { offer, guarded: [...seen.guarded.keys()], never } };
}

const stillOffered = ({ offer }: SeenUnderlay, nowMs: number): SeenUnderlay['offer'] =>
  offer && isFresh(offer.atMs, nowMs) ? offer : null;

const isFresh = (atMs: number, nowMs: number): boolean => nowMs - atMs < LASTS_MS;

/** What is there first: where a list is too long, it is what is gone that is left out. */
function add(
  before: ReadonlyMap<string, number>,
  now: readonly string[],
  nowMs: number,
): ReadonlyMap<string, number> {
  const present = new Set(now);
  const gone = [...before]
    .filter(([each, atMs]) => !present.has(each) && isFresh(atMs, nowMs))
    .sort(([, one], [, other]) => other - one)
    .slice(0, MOST_GONE);
  return new Map([...now.map((each) => [each, nowMs] as const), ...gone]);
}
