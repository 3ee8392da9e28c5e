import type { MigrationReport } from '../../../agent/protocol/index.ts';
import { isHandedOver, type LiveMove } from '../../model/live-move.ts';
import type { HostRecord, Proof, VmRecord } from '../../model/records.ts';
import { restlessVms } from '../at-rest.ts';
import { nextOfCopy } from '../copy-over.ts';
import type { Draft } from '../draft.ts';
import {
  ARRIVAL_MS,
  type HandOverEnd,
  type HandOverSeen,
  nextOfHandOver,
  type SourceWord,
  type TargetWord,
} from '../hand-over.ts';
import type { Placement } from '../placement.ts';
import { nextOfStandingStill } from '../still-over.ts';
import { dropSuccessor, promote } from '../successors.ts';
import { letGo, tellMigrated } from './copied-disks.ts';
import { isLost } from './hosts.ts';
import { noteFailure } from './stays.ts';
import { isShutOut } from './storage-fences.ts';
import { isElsewhere, type Wish, wishOf } from './wishes.ts';

type DiskWord = Extract<MigrationReport, { role: 'disk' }>;

/**
 * Brings machines that are being handed over to their end, before any other rule asks where they are: until then two hosts may have
 * them, and only what both of them say, or a proof of death, decides whose they are.
 */
export function followHandOvers(draft: Draft, placement: Placement): void {
  for (const record of draft.of('vms', restlessVms))
    if (isHandedOver(record)) followOne(draft, placement, record);
}

function followOne(draft: Draft, placement: Placement, record: VmRecord): void {
  const { successor } = record;
  const live = successor?.live;
  if (!successor || !live) return;
  const seen: HandOverSeen = {
    live,
    source: sourceWord(draft, record, live),
    target: targetWord(draft, record),
    sourceDead: isDead(draft, record.host),
    targetDead: isDead(draft, successor.host),
    calledOff: calledOff(draft, record),
  };
  const next = nextOf(draft, record, seen);
  switch (next.kind) {
    case 'there':
      arrive(draft, placement, record, seen, next.proof);
      break;
    case 'stop':
      draft.tell('vm-migration-stopped', record.id, `its way to ${successor.host} ends: ${next.reason}`, {
        from: record.host,
        to: successor.host,
      });
      put(draft, record, { state: 'stopping', reason: next.reason, failed: next.failed });
      break;
    case 'resume':
      put(draft, record, { resume: true });
      break;
    case 'gone-here':
      put(draft, record, { goneAtMs: draft.nowMs });
      break;
    case 'here':
      stay(draft, placement, record, next.reason ? { ...live, reason: next.reason, failed: false } : live);
      break;
    case 'wait':
      noteProgress(draft, record, seen);
      break;
  }
}

function nextOf(draft: Draft, { host, poolId, successor }: VmRecord, seen: HandOverSeen): HandOverEnd {
  const { copy, standsStill } = seen.live;
  if (!copy && !standsStill) return nextOfHandOver(seen, draft.nowMs);
  const isRemoved = (name: string | null | undefined) => draft.get('hosts', String(name)) === undefined;
  const sourceRemoved = isRemoved(host);
  const targetDead = seen.targetDead || isRemoved(successor?.host);
  if (copy) return nextOfCopy({ ...seen, sourceRemoved, targetDead });
  const there = draft.get('hosts', String(successor?.host));
  return nextOfStandingStill({
    ...{ ...seen, sourceRemoved },
    sourceDead: seen.sourceDead || isShutOut(draft, host, poolId),
    targetDead: targetDead || (there !== undefined && isUseless(draft, there, poolId)),
  });
}

/** Silent, or shut out of the disk: what has come there is not let run on there. */
const isUseless = (draft: Draft, host: HostRecord, poolId: string | null): boolean =>
  isLost(host) || isShutOut(draft, host.name, poolId);

/** Seldom enough to be written down. */
function noteProgress(draft: Draft, record: VmRecord, { live, source }: HandOverSeen): void {
  if (!live.copy || source?.percent === undefined) return;
  const percent = Math.floor(source.percent / 10) * 10;
  if (percent > (live.percent ?? -1)) put(draft, record, { percent });
}

const put = (draft: Draft, record: VmRecord, patch: Partial<LiveMove>): void => {
  const { successor } = record;
  if (!successor?.live) return;
  const live = { ...successor.live, ...patch };
  draft.put('vms', record.id, { ...record, successor: { ...successor, live } });
};

function stay(draft: Draft, placement: Placement, record: VmRecord, live: LiveMove): void {
  const reason = live.reason ?? 'it was called off';
  if (live.failed) dropFailed(draft, placement, record, wishOf(draft, record), reason);
  else dropSuccessor(draft, placement, record, reason);
}

/** It could not come there while it runs. */
export function dropFailed(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  wish: Wish | null,
  message: string,
): void {
  const kept = dropSuccessor(draft, placement, record, message);
  if (!record.successor) return;
  const failure = { code: 'hypervisor-failed', message };
  noteFailure(draft, kept, { ...record, successor: { ...record.successor, failure } }, wish);
}

type EndProof = Extract<HandOverEnd, { kind: 'there' }>['proof'];

function arrive(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  { target }: HandOverSeen,
  by: EndProof,
): void {
  const { successor, host: from } = record;
  if (!successor) return;
  const { copy, standsStill } = successor.live ?? {};
  // Such a one stands still, whole, until its host hears that it is its own.
  const waits = copy != null || standsStill === true;
  const runs = target?.guest === 'running' || (waits && target?.landed === true);
  const lastMove = {
    ...{ atMs: draft.nowMs, from: String(from), to: successor.host },
    // It stands still until its host has heard: how long is told when it is ready (`copied-disks.ts`).
    downtimeMs: waits ? null : (target?.downtimeMs ?? null),
    totalMs: waits ? null : (target?.totalMs ?? null),
    ...(target?.way === undefined ? {} : { way: target.way }),
  };
  const why = waits ? 'all of it is there' : WHY[by](String(from), successor.host);
  const there = {
    ...successor,
    state: runs ? 'starting' : 'placing',
    overlay: runs ? (successor.live?.files?.disk ?? null) : null,
  } as const;
  const before = copy ? withOldDisk(draft, record) : record;
  promote(draft, placement, { ...before, successor: there }, why, proofOf(draft, record, by));
  if (!runs) return;
  const moved = draft.get('vms', record.id);
  // The guest never stopped: what its host says of it from now on is no new beginning.
  const landing = standsStill ? { landing: successor.incarnation } : {};
  if (moved) draft.put('vms', record.id, { ...moved, ...landing, lastMove, readyAtMs: record.readyAtMs });
  if (!waits) tellMigrated(draft, record.id, lastMove);
}

/** What it had here is kept until it is ready there. From now on the copy is its disk. */
function withOldDisk(draft: Draft, record: VmRecord): VmRecord {
  const { host, incarnation, successor } = letGo(draft, record);
  const copiedFrom = host === null ? null : { host, incarnation };
  return {
    ...record,
    lastMove: null,
    copiedFrom,
    diskIncarnation: successor?.incarnation ?? record.diskIncarnation,
  };
}

const WHY: Readonly<Record<EndProof, (from: string, to: string) => string>> = {
  target: () => 'it runs there',
  source: () => 'it ended here on its way',
  death: (from) => `host ${from} is dead`,
  'stands-still': (from, to) => `it stands still on ${from}, and may have run on ${to} since`,
};

function proofOf(draft: Draft, record: VmRecord, by: EndProof): Proof | null {
  const host = String(record.host);
  if (by === 'death') return draft.get('hosts', host)?.proof ?? record.proof;
  const to = String(record.successor?.host);
  const detail = {
    target: `the agent of ${to} says that it runs there, handed over by ${host}`,
    source: `the agent of ${host} says that nothing of it runs there`,
    'stands-still': `the agent of ${host} says that it stands still there, and that nothing is under way`,
  }[by];
  return { kind: 'agent', host, atMs: draft.nowMs, detail };
}

function calledOff(draft: Draft, record: VmRecord): string | null {
  const wish = wishOf(draft, record);
  const there = record.successor ? draft.get('hosts', record.successor.host) : undefined;
  if (!wish) return 'it is not to leave any more';
  if (record.successor?.live?.copy && !wish.copies) return 'its disk is not to be copied any more';
  if (record.successor && isElsewhere(wish, record.successor)) return `it is to go to ${wish.to}`;
  if (there?.draining) return `host ${there.name} drains`;
  // Before it leaves the host that it runs on: what came to nothing there would have to be started from its disk.
  return there && record.successor?.live?.standsStill && isUseless(draft, there, record.poolId)
    ? `host ${there.name} is ${isLost(there) ? there.state : 'shut out of its disk'}`
    : null;
}

const isDead = (draft: Draft, name: string | null): boolean => {
  const host: HostRecord | undefined = name === null ? undefined : draft.get('hosts', name);
  return host?.state === 'fenced' && host.proof !== null;
};

/** What a host that is heard says of its half of a hand-over. */
function wordOf(draft: Draft, name: string | null, record: VmRecord): readonly MigrationReport[] {
  const live = name === null ? undefined : draft.world.live.get(name);
  if (!live?.connected || !live.report || draft.get('hosts', String(name))?.state !== 'up') return [];
  const { id, successor } = record;
  return (live.report.migrations ?? []).filter(
    (each) => each.id === id && each.incarnation === successor?.incarnation,
  );
}

/** Only what it says under the order that the store has: it may not have heard of a newer one yet. */
function sourceWord(draft: Draft, record: VmRecord, live: LiveMove): SourceWord | null {
  const order = live.state === 'moving' ? 'move' : 'stop';
  const words = wordOf(draft, record.host, record);
  return (
    words.find(
      (each): each is SourceWord =>
        each.role === 'out' && each.order === order && each.resume === live.resume,
    ) ?? null
  );
}

/** What its disk is like that is to be copied along. */
export const diskWord = (draft: Draft, record: VmRecord): DiskWord | null =>
  wordOf(draft, record.host, record).find((each): each is DiskWord => each.role === 'disk') ?? null;

export const targetWord = (draft: Draft, record: VmRecord): TargetWord | null =>
  wordOf(draft, record.successor?.host ?? null, record).find(
    (each): each is TargetWord => each.role === 'in',
  ) ?? null;

/** Unix ms: when a hand-over is looked at again although nothing happens; null: never. */
export function nextHandOverMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { successor } of draft.of('vms', restlessVms)) {
    const goneAtMs = successor?.live?.goneAtMs;
    // Once that time is over, the next thing that is heard decides.
    if (goneAtMs == null || goneAtMs + ARRIVAL_MS <= draft.nowMs) continue;
    next = Math.min(next ?? Number.POSITIVE_INFINITY, goneAtMs + ARRIVAL_MS);
  }
  return next;
}
