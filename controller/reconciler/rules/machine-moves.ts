import { type DiskFacts, PROVES_STOPS } from '../../../agent/protocol/index.ts';
import { isHandedOver, type LiveMove } from '../../model/live-move.ts';
import type { HostRecord, Proof, VmRecord } from '../../model/records.ts';
import { FAILURES_HELD_AGAINST_A_HOST } from '../../scheduler/scorers/earlier-failures.ts';
import { beingBackedUp } from '../backup-tasks.ts';
import type { Draft } from '../draft.ts';
import { drainsBeforeItGoes } from '../drains.ts';
import { isUnlocked, unfitForCopy, unfitHosts, whyNotCopiedFrom, whyNotFrom } from '../live-moves.ts';
import type { Placement } from '../placement.ts';
import { sharedPoolOf } from '../shared-pools.ts';
import { dropSuccessor, promote } from '../successors.ts';
import { diskWord, dropFailed, targetWord } from './hand-overs.ts';
import { isLost } from './hosts.ts';
import { endWait, mayWait, noteWait, unheardHost } from './move-waits.ts';
import { canTry, dropMove, noteStay } from './stays.ts';
import { isElsewhere, type Wish } from './wishes.ts';

/**
 * A machine on a pool that hosts share moves while it runs, where both hosts can do that: a place is kept on another host, that host
 * makes ready, and then the machine's own host hands it over (`hand-overs.ts`). Where they cannot, and it may be stopped, it moves
 * cold: it is stopped here, its agent's word that it has stopped is the proof, and it goes on there at the next incarnation. When its
 * host falls silent on the way, that word is not to be had, and it needs another proof, as ever. One on a pool of its host's own stays
 * with its disk, unless that may be copied along: then it moves while it runs, or not at all.
 */
export function moveMachine(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  wish: Wish | null,
  moving: ReadonlySet<string>,
): void {
  const host = draft.get('hosts', String(record.host));
  // Silent: healing decides. Under way: neither of both hosts is to be asked for anything else.
  if (!host || isLost(host) || isHandedOver(record)) return;
  if (record.successor) {
    tend(draft, placement, record, wish);
    return;
  }
  if (!wish || host.state !== 'up') return;
  const isCopied = !sharedPoolOf(host, record.pool);
  if (isCopied && !wish.copies) return;
  if ((record.moveTo === null && moving.has(record.networkId)) || !canTry(draft, record)) return;
  // Nothing but a guest that runs takes its disk along.
  begin(draft, placement, record, host, isCopied ? { ...wish, mode: 'live' } : wish, isCopied);
}

/** @param isCopied its disk goes along: it is on its host's own pool. */
function begin(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  host: HostRecord,
  wish: Wish,
  isCopied: boolean,
): void {
  // A hypervisor that copies its disk does not hand it over; one that failed for that would be stopped in the end.
  if (wish.mode !== 'cold' && draft.of('backups', beingBackedUp).has(record.id)) return;
  const unheard = unheardHost(draft, record, host, wish);
  if (unheard !== null) {
    noteWait(draft, record, `host ${unheard} has not been heard since the controller began`);
    return;
  }
  const { kind, definition, size, pool } = record;
  const here =
    wish.mode === 'cold'
      ? 'it was asked for'
      : isCopied
        ? whyNotCopiedFrom(draft, record, host)
        : whyNotFrom(draft, record, host);
  if (here !== null && wish.mode === 'live') {
    refuse(draft, record, wish, here);
    return;
  }
  if (here !== null && !provesStops(draft, host.name)) return;
  const unfitHere = isCopied ? unfitForCopy : unfitHosts;
  const unfit = here === null ? unfitHere(draft, record, host) : NONE_UNFIT;
  // Where it can go as it runs comes before all others; among those it is as ever.
  const target = { only: wish.to, avoid: record.host, failedOn: heldAgainst(unfit.keys()) };
  const unfound = mayWait(draft, record) ? placement.unfoundFor(record, target) : [];
  if (unfound.length > 0) {
    noteWait(
      draft,
      record,
      `${unfound.join(', ')} and ${host.name} have yet to find each other in pool ${pool}`,
    );
    return;
  }
  const kept = placement.placeSuccessor(
    endWait(draft, record),
    { kind, definition, size, pool },
    target,
    wish.why,
  );
  if (!kept?.successor) {
    if (record.moveTo !== null) dropMove(draft, record);
    return;
  }
  const why = here ?? unfit.get(kept.successor.host) ?? null;
  if (why === null) beginLive(draft, kept, { isCopied, standsStill: isUnlocked(host, pool) });
  else if (wish.mode !== 'live' && provesStops(draft, host.name)) beginCold(draft, kept, wish, why);
  else refuse(draft, dropSuccessor(draft, placement, kept, why), wish, why);
}

/** Of one that is stopped for it anyhow. */
const NONE_UNFIT: ReadonlyMap<string, string> = new Map();

const heldAgainst = (hosts: Iterable<string>): Readonly<Record<string, number>> =>
  Object.fromEntries([...hosts].map((name) => [name, FAILURES_HELD_AGAINST_A_HOST]));

function beginLive(
  draft: Draft,
  kept: VmRecord,
  { isCopied, standsStill }: { readonly isCopied: boolean; readonly standsStill: boolean },
): void {
  const { successor } = kept;
  if (!successor) return;
  const live: LiveMove = {
    ...{ sinceMs: draft.nowMs, files: null, reason: null, failed: false, resume: false, goneAtMs: null },
    state: 'preparing',
    ...(isCopied ? { copy: { disk: null } } : {}),
    ...(standsStill ? { standsStill } : {}),
  };
  draft.put('vms', kept.id, { ...kept, successor: { ...successor, live } });
}

function beginCold(draft: Draft, kept: VmRecord, wish: Wish, why: string): void {
  stopWhenDrained(draft, kept);
  if (wish.mode === 'cold') return;
  draft.tell('vm-moves-cold', kept.id, `it is stopped, to go on at ${kept.successor?.host}: ${why}`, {
    from: kept.host,
    to: kept.successor?.host,
    reason: why,
  });
}

function stopWhenDrained(draft: Draft, record: VmRecord): void {
  if (!drainsBeforeItGoes(draft, record, 'it is stopped for its move'))
    draft.put('vms', record.id, { ...record, power: 'stopped' });
}

/** It is never to be stopped for it, so it stays, until it is asked again. */
function refuse(draft: Draft, record: VmRecord, wish: Wish, why: string): void {
  noteStay(draft, record, wish, `it cannot move while it runs: ${why}`);
}

function tend(draft: Draft, placement: Placement, record: VmRecord, wish: Wish | null): void {
  const { successor } = record;
  if (!successor) return;
  const there = draft.get('hosts', successor.host);
  const drop = (why: string) => dropSuccessor(draft, placement, record, why);
  if (!there || isLost(there)) drop(`host ${successor.host} is ${there?.state ?? 'gone'}`);
  else if (there.draining) drop(`host ${successor.host} drains`);
  else if (isElsewhere(wish, successor)) drop(`it is to go to ${wish?.to}`);
  else if (!wish) drop('it is not to leave any more');
  else if (successor.live?.copy && !wish.copies) drop('its disk is not to be copied any more');
  else if (successor.live?.copy?.disk === null) takeDiskIn(draft, placement, record, wish, there);
  else if (successor.live) handOverWhenReady(draft, placement, record, wish);
  else tendCold(draft, placement, record, wish, there);
}

function tendCold(draft: Draft, placement: Placement, record: VmRecord, wish: Wish, there: HostRecord): void {
  const proof = proofOfStop(draft, record);
  // Asked again in the middle: as it was begun, so it ends, unless it must not be stopped.
  if (wish.mode === 'live') dropSuccessor(draft, placement, record, 'it is not to be stopped for it');
  else if (record.power === 'running') stopWhenDrained(draft, record);
  else if (proof && there.state === 'up')
    promote(draft, placement, record, `its agent on ${record.host} has stopped it`, proof);
}

const MIB = 2 ** 20;

/** What its disk is like: the one that takes it makes a place for it. */
function takeDiskIn(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  wish: Wish,
  there: HostRecord,
): void {
  const { successor } = record;
  const word = diskWord(draft, record);
  if (!successor?.live || !word) return;
  const disk = word.disk ?? null;
  const why =
    disk === null
      ? (word.message ?? 'its host cannot say what its disk is like')
      : whyNoRoomFor(draft, record.pool, disk, there);
  if (why !== null) {
    dropFailed(draft, placement, record, wish, why);
    return;
  }
  const live = { ...successor.live, copy: { disk } };
  draft.put('vms', record.id, { ...record, successor: { ...successor, live } });
}

/** Null: there is, or that is not known. */
function whyNoRoomFor(
  draft: Draft,
  pool: string,
  { dataBytes }: DiskFacts,
  there: HostRecord,
): string | null {
  const pools = draft.world.live.get(there.name)?.report?.metrics?.pools;
  const freeMiB = pools?.find(({ name }) => name === pool)?.freeMiB;
  const neededMiB = Math.ceil(dataBytes / MIB);
  return freeMiB !== undefined && freeMiB < neededMiB
    ? `its disk takes ${neededMiB} MiB, and pool ${pool} of ${there.name} has ${freeMiB} MiB left`
    : null;
}

/** The machine's own host has not heard of it before this. */
function handOverWhenReady(draft: Draft, placement: Placement, record: VmRecord, wish: Wish): void {
  const { successor } = record;
  if (!successor?.live) return;
  const word = targetWord(draft, record);
  if (wish.mode === 'cold' && !successor.live.copy) {
    dropSuccessor(draft, placement, record, 'it is to be stopped for it');
    return;
  }
  if (word?.state === 'refused') {
    dropFailed(draft, placement, record, wish, word.message ?? 'its host gave no reason');
    return;
  }
  if (word?.state !== 'ready' || !word.files || word.guest !== 'absent') return;
  if (draft.get('hosts', String(record.host))?.state !== 'up') return;
  const { files, direct } = word;
  const live = {
    ...{ ...successor.live, state: 'moving' as const, files, sinceMs: draft.nowMs },
    ...(direct ? { direct } : {}),
  };
  draft.put('vms', record.id, { ...record, successor: { ...successor, state: 'migrating', live } });
  const { copy } = successor.live;
  const along = copy?.disk ? `, with its disk of ${Math.ceil(copy.disk.dataBytes / MIB)} MiB` : '';
  draft.tell('vm-migrating', record.id, `from ${record.host} to ${successor.host} while it runs${along}`, {
    from: record.host,
    to: successor.host,
    incarnation: successor.incarnation,
    ...(copy?.disk ? { diskBytes: copy.disk.dataBytes } : {}),
  });
}

const provesStops = (draft: Draft, host: string): boolean => {
  const live = draft.world.live.get(host);
  return live?.connected === true && live.hello?.capabilities.includes(PROVES_STOPS) === true;
};

/**
 * Its agent has looked at itself with a goal that wants the machine off, and nothing of it runs there. An agent that says so has
 * nothing on its way that would start it, and starts nothing before it gets another goal.
 */
function proofOfStop(draft: Draft, record: VmRecord): Proof | null {
  const host = String(record.host);
  const live = draft.world.live.get(host);
  // What this pass writes, no host has heard of.
  const stored = draft.world.vms.get(record.id);
  if (stored?.power !== 'stopped' || stored.host !== host || stored.incarnation !== record.incarnation)
    return null;
  if (!provesStops(draft, host) || !live?.report || !live.acknowledged?.has(record.id)) return null;
  const report = live.report.vms.find(({ id }) => id === record.id);
  if (report?.incarnation !== record.incarnation || report.phase !== 'stopped') return null;
  return {
    kind: 'agent',
    host,
    atMs: draft.nowMs,
    detail: `the agent of ${host} stopped incarnation ${record.incarnation} and saw that it is off`,
  };
}
