import type { FenceRequest, LiftRequest } from '../fencing/contract.ts';
import { Draft, type Writes } from './draft.ts';
import { nextDrainMs } from './drains.ts';
import { forgetFormer } from './former-endpoints.ts';
import { Placement } from './placement.ts';
import { forgetRetired } from './retired.ts';
import { followApartPools } from './rules/apart-pools.ts';
import { followSchedules, nextBackupMs } from './rules/backup-schedule.ts';
import { followBackups } from './rules/backups.ts';
import { forgetChallenges, nextChallengeMs } from './rules/challenges.ts';
import { followCopiedDisks } from './rules/copied-disks.ts';
import { finishDepartures } from './rules/departures.ts';
import { followDrains } from './rules/drains.ts';
import { fenceRequests, takeProofsIn } from './rules/fencing.ts';
import { forgive, nextForgivenessMs } from './rules/forgiveness.ts';
import { followFormerPlaces } from './rules/former-places.ts';
import { followPools } from './rules/full-pools.ts';
import { followHandOvers, nextHandOverMs } from './rules/hand-overs.ts';
import { followHolding, nextAwaitedMs } from './rules/holding.ts';
import { followHostNetworks } from './rules/host-networks.ts';
import { followHosts, type LivenessSettings, nextSilenceMs, nextTrustMs } from './rules/hosts.ts';
import { takeReportsIn } from './rules/intake.ts';
import { nextLeaseProofMs, proveByLeases } from './rules/leases.ts';
import { healLostVms } from './rules/lost-hosts.ts';
import { followModes } from './rules/modes.ts';
import { moveAway } from './rules/moves.ts';
import { followNameServers } from './rules/name-servers.ts';
import { followNaming } from './rules/naming.ts';
import { followPoolPeers, nextPoolPeersMs } from './rules/pool-peers.ts';
import { followPublicAddresses } from './rules/public-addresses.ts';
import { followPublishing } from './rules/publishing.ts';
import { followReboots } from './rules/reboots.ts';
import { followRefusedGoals } from './rules/refused-goals.ts';
import { nextRetryMs, renew } from './rules/renewals.ts';
import { nextTryMs } from './rules/stays.ts';
import { followStorageFences, storageLifts } from './rules/storage-fences.ts';
import { forgetSuperseded } from './rules/superseded.ts';
import { followApplications } from './rules/wanted.ts';
import { releaseKeptAddresses } from './successors.ts';
import type { World } from './world.ts';

export interface PlanSettings extends LivenessSettings {
  /** Healing holds still while more than a third of the hosts, and at least two, are silent at once. */
  readonly holds: boolean;
  /** What a host has left in a pool that hosts share has so long to be found by the others. */
  readonly beatGraceMs: number;
}

/** Hosts are heard every second. */
export const DEFAULT_SETTINGS: PlanSettings = {
  suspectAfterMs: 2_000,
  downAfterMs: 4_000,
  holds: true,
  // They look every 10 s, and clients of NFS keep names for up to 60 s.
  beatGraceMs: 75_000,
};

export interface Plan extends Writes {
  /** When to plan again although nothing happens; null: no such time. */
  readonly nextMs: number | null;
  /** The same, but for hosts that are silent too long by then. */
  readonly nextWaitMs: number | null;
  /** Hosts whose death has to be proven. */
  readonly fence: readonly FenceRequest[];
  /** What is written leaves nothing to do: a plan of the world with it would be an empty one. */
  readonly isSettled: boolean;
  /** Hosts that are to be let in to their storage again. */
  readonly lift?: readonly LiftRequest[];
}

/**
 * From what is declared and what is observed to what is to be written. Pure: same world, same time, same plan. It converges
 * from any world: every rule looks at records, none at what happened before.
 */
export function plan(world: World, nowMs: number, settings: PlanSettings): Plan {
  const draft = new Draft(world, nowMs);
  const placement = new Placement(draft);
  followHosts(draft, settings);
  followHostNetworks(draft);
  takeProofsIn(draft);
  proveByLeases(draft, settings.holds);
  if (settings.holds) followHolding(draft, settings.downAfterMs);
  const toldFrom = draft.changes;
  takeReportsIn(draft);
  const toldUpTo = draft.changes;
  followDrains(draft);
  forgive(draft);
  followPools(draft);
  followRefusedGoals(draft);
  followPoolPeers(draft, settings.beatGraceMs);
  followApartPools(draft);
  followHandOvers(draft, placement);
  healLostVms(draft, placement, settings.holds);
  followStorageFences(draft, placement);
  followBackups(draft);
  followCopiedDisks(draft);
  followPublicAddresses(draft);
  followApplications(draft);
  finishDepartures(draft, placement);
  forgetRetired(draft);
  forgetFormer(draft);
  renew(draft, placement);
  moveAway(draft, placement);
  followReboots(draft);
  forgetSuperseded(draft);
  releaseKeptAddresses(draft);
  followPublishing(draft);
  followNameServers(draft);
  followNaming(draft);
  forgetChallenges(draft);
  followModes(draft);
  followFormerPlaces(draft);
  followSchedules(draft);
  const { live, listeningSinceMs } = world;
  const nextWaitMs = earliest([
    nextTrustMs(draft),
    nextAwaitedMs(draft),
    nextLeaseProofMs(draft),
    nextRetryMs(draft),
    nextTryMs(draft),
    nextForgivenessMs(draft),
    nextBackupMs(draft),
    nextPoolPeersMs(draft, settings.beatGraceMs),
    nextHandOverMs(draft),
    nextDrainMs(draft),
    nextChallengeMs(draft),
  ]);
  const silenceMs = nextSilenceMs(draft.all('hosts'), live, listeningSinceMs, settings);
  return {
    ...draft.writes(),
    nextMs: earliest([nextWaitMs, silenceMs]),
    nextWaitMs,
    fence: fenceRequests(draft, settings.holds),
    // What only the intake changed, all rules behind it have seen; those before it look at no VM, and what was taken in is known.
    isSettled: toldFrom === 0 && draft.changes === toldUpTo,
    lift: storageLifts(draft),
  };
}

/** Null: none of these times will ever come. */
export const earliest = (times: readonly (number | null)[]): number | null =>
  times.reduce<number | null>(
    (first, timeMs) => (first === null ? timeMs : timeMs === null ? first : Math.min(first, timeMs)),
    null,
  );
