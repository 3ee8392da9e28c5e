import type { FenceRequest } from '../fencing/contract.ts';
import { Draft, type Writes } from './draft.ts';
import { Placement } from './placement.ts';
import { finishDepartures } from './rules/departures.ts';
import { fenceRequests, takeProofsIn } from './rules/fencing.ts';
import { forgive, nextForgivenessMs } from './rules/forgiveness.ts';
import { followPools } from './rules/full-pools.ts';
import { tellHolding } from './rules/holding.ts';
import { followHosts, type LivenessSettings, nextSilenceMs, nextTrustMs } from './rules/hosts.ts';
import { takeReportsIn } from './rules/intake.ts';
import { healLostVms } from './rules/lost-hosts.ts';
import { nextRetryMs, renew } from './rules/renewals.ts';
import { forgetSuperseded } from './rules/superseded.ts';
import { followApplications } from './rules/wanted.ts';
import type { World } from './world.ts';

export interface PlanSettings extends LivenessSettings {
  /** Healing holds still while more than a third of the hosts, and at least two, are silent at once. */
  readonly holds: boolean;
}

/** Hosts are heard every second. */
export const DEFAULT_SETTINGS: PlanSettings = { suspectAfterMs: 2_000, downAfterMs: 4_000, holds: true };

export interface Plan extends Writes {
  /** When to plan again although nothing happens; null: no such time. */
  readonly nextMs: number | null;
  /** The same, but for hosts that are silent too long by then. */
  readonly nextWaitMs: number | null;
  /** Hosts whose death has to be proven. */
  readonly fence: readonly FenceRequest[];
}

/**
 * From what is declared and what is observed to what is to be written. Pure: same world, same time, same plan. It converges
 * from any world: every rule looks at records, none at what happened before.
 */
export function plan(world: World, nowMs: number, settings: PlanSettings): Plan {
  const draft = new Draft(world, nowMs);
  const placement = new Placement(draft);
  followHosts(draft, settings);
  takeProofsIn(draft);
  if (settings.holds) tellHolding(draft);
  takeReportsIn(draft);
  forgive(draft);
  followPools(draft);
  healLostVms(draft, placement, settings.holds);
  followApplications(draft);
  finishDepartures(draft, placement);
  renew(draft, placement);
  forgetSuperseded(draft);
  const { live, listeningSinceMs } = world;
  const nextWaitMs = earliest([nextTrustMs(draft), nextRetryMs(draft), nextForgivenessMs(draft)]);
  const silenceMs = nextSilenceMs(draft.all('hosts'), live, listeningSinceMs, settings);
  return {
    ...draft.writes(),
    nextMs: earliest([nextWaitMs, silenceMs]),
    nextWaitMs,
    fence: fenceRequests(draft, settings.holds),
  };
}

/** Null: none of these times will ever come. */
export const earliest = (times: readonly (number | null)[]): number | null =>
  times.reduce<number | null>(
    (first, timeMs) => (first === null ? timeMs : timeMs === null ? first : Math.min(first, timeMs)),
    null,
  );
