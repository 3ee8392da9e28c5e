import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { VmReport } from '../../agent/protocol/index.ts';
import type { VmRecord, VmState } from '../model/records.ts';
import type { Draft } from './draft.ts';
import { isGivenUp, withFailure } from './failures.ts';
import { areMerged, mergeSteps } from './steps.ts';

/** What a host may say of a VM that it has, in any order: an agent that restarts begins again, a guest reboots by itself. */
const REPORTED: readonly VmState[] = [
  'fetching',
  'booting',
  'starting',
  'ready',
  'unready',
  'stopping',
  'stopped',
  'failed',
];
/** What the controller may decide of any VM whatever it does: its host is lost, it is placed anew, it waits, nobody wants it. */
const DECIDED: readonly VmState[] = ['pending', 'placing', 'backing-off', 'unknown', 'stopping'];
const PLACED: readonly VmState[] = [...REPORTED, ...DECIDED];

/** Which states may follow which. Anything else is a mistake of ours and stops the pass. */
const FOLLOWERS: Readonly<Record<VmState, readonly VmState[]>> = {
  pending: ['placing', 'backing-off', 'stopping'],
  placing: PLACED,
  fetching: PLACED,
  booting: PLACED,
  starting: PLACED,
  ready: [...PLACED, 'draining', 'migrating'],
  unready: [...PLACED, 'draining', 'migrating'],
  draining: PLACED,
  stopping: PLACED,
  stopped: PLACED,
  migrating: PLACED,
  unknown: PLACED,
  // What failed is followed no more: a new incarnation is.
  failed: DECIDED,
  'backing-off': DECIDED,
};

export const canFollow = (state: VmState, next: VmState): boolean =>
  state === next || FOLLOWERS[state].includes(next);

/** States in which a host has, or is making, this VM. */
export const ON_HOST: ReadonlySet<VmState> = new Set<VmState>([
  ...([
    'placing',
    'fetching',
    'booting',
    'starting',
    'ready',
    'unready',
    'draining',
    'migrating',
    'failed',
  ] as const),
]);

/** The one place where a state changes: checks, counts the attempt, dates it, and tells. */
export function change(
  draft: Draft,
  record: VmRecord,
  state: VmState,
  why: string,
  patch: Partial<VmRecord> = {},
): VmRecord {
  if (state === record.state) {
    const same = { ...record, ...patch };
    draft.put('vms', record.id, same);
    return same;
  }
  if (!FOLLOWERS[record.state].includes(state))
    throw new RangeError(`${record.id} cannot go from ${record.state} to ${state} (${why})`);
  const next: VmRecord = {
    ...record,
    ...patch,
    state,
    attempt: record.attempt + 1,
    stateSinceMs: draft.nowMs,
  };
  draft.put('vms', record.id, next);
  draft.tell('vm-state', record.id, `${record.state} ⇒ ${state}: ${why}`, {
    from: record.state,
    to: state,
    incarnation: next.incarnation,
    host: next.host,
  });
  return next;
}

const BACK_OFF = { firstMs: 2_000, factor: 2, maximumMs: 300_000 };

/** Puts a VM aside after a failure; the failure, its console and its tasks' output are kept on the record. */
export function backOff(
  draft: Draft,
  record: VmRecord,
  why: string,
  patch: Partial<VmRecord> = {},
): VmRecord {
  const failures = record.failures + 1;
  const waitMs = Math.min(BACK_OFF.maximumMs, BACK_OFF.firstMs * BACK_OFF.factor ** (failures - 1));
  return change(draft, record, 'backing-off', `${why}; again in ${waitMs / 1000} s`, {
    ...patch,
    failures,
    retryAtMs: draft.nowMs + waitMs,
  });
}

/** It stays as it is, for somebody to look at. Where it still runs, it goes on, and can be looked into. */
function giveUp(draft: Draft, record: VmRecord): VmRecord {
  const where = Object.entries(record.failedOn).map(([host, count]) => `${count} times on ${host}`);
  const message = `it failed ${where.join(', ')}: it is not tried again by itself`;
  draft.tell('vm-given-up', record.id, message, { failedOn: record.failedOn });
  const given = { ...record, failures: record.failures + 1, retryAtMs: null };
  draft.put('vms', record.id, given);
  return given;
}

const isDraining = ({ state, drain }: VmRecord): boolean => state === 'draining' && Boolean(drain);

/**
 * What it said last, it stays. A probe that passes does not end a drain; and an agent that has just begun, and found the guest running, knows
 * nothing of it that would speak against what the agent before it saw.
 */
function isHeld(record: VmRecord, { phase, foundRunning }: VmReport): boolean {
  if (phase === 'ready') return isDraining(record);
  if (foundRunning !== true || (phase !== 'booting' && phase !== 'starting')) return false;
  return record.state === 'ready' || (isDraining(record) && record.drain?.rebooting !== true);
}

/** What a host's phase means for the record's state, one function a phase. */
const FOLLOW: Readonly<
  Record<VmReport['phase'], (draft: Draft, record: VmRecord, report: VmReport) => VmRecord>
> = {
  queued: (draft, record) =>
    record.state === 'unknown' ? change(draft, record, 'placing', 'its host is back') : record,
  fetching: (draft, record) => change(draft, record, 'fetching', 'the host makes it ready'),
  booting: (draft, record, report) =>
    isHeld(record, report) ? record : change(draft, record, 'booting', 'its domain starts'),
  starting: (draft, record, report) =>
    isHeld(record, report) ? record : change(draft, record, 'starting', 'it answered by SSH'),
  ready: (draft, record, report) => {
    // It works, and is about to go all the same.
    if (isHeld(record, report)) return record;
    // That it failed before is forgiven when it has stayed so for a while.
    return change(draft, record, 'ready', 'its probe passes', {
      failure: null,
      readyAtMs: record.readyAtMs ?? draft.nowMs,
    });
  },
  unready: (draft, record) => change(draft, record, 'unready', 'its probe fails'),
  stopping: (draft, record) => change(draft, record, 'stopping', 'it was asked to stop'),
  stopped: (draft, record) => change(draft, record, 'stopped', 'it is off'),
  failed: (draft, record, report) => {
    const failure = report.failure ?? { code: 'internal', message: 'the host gave no reason' };
    const failedOn = withFailure(record, failure.code);
    const failed = change(draft, record, 'failed', failure.message, { failure, failedOn });
    draft.tell('vm-failed', record.id, failure.message, { code: failure.code, host: record.host });
    return isGivenUp(draft, failed) ? giveUp(draft, failed) : backOff(draft, failed, 'it failed');
  },
};

/** Takes a host's word on one of its VMs in. A report of another incarnation, or of a VM that is put aside or given up, changes nothing. */
export function follow(draft: Draft, record: VmRecord, report: VmReport): void {
  if (tellsNothing(record, report)) return;
  const merged = withReport(record, report);
  const next = FOLLOW[report.phase](draft, merged, report);
  if (next === merged && !isSameDocument(merged, record)) draft.put('vms', record.id, merged);
}

/** Whether a host's word on one of its VMs leaves its record as it is. */
export const tellsNothing = (record: VmRecord, report: VmReport): boolean =>
  report.incarnation !== record.incarnation ||
  record.deleting ||
  record.state === 'backing-off' ||
  record.state === 'failed' ||
  isKnown(record, report);

/** The record to which a report had nothing to add. Neither ever changes. */
const nothingNew = new WeakMap<VmReport, VmRecord>();

/** Most reports tell what is known: hosts tell everything at every heartbeat. */
function isKnown(record: VmRecord, report: VmReport): boolean {
  if (nothingNew.get(report) === record) return true;
  const known = addsNothing(record, report);
  if (known) nothingNew.set(report, record);
  return known;
}

function addsNothing(record: VmRecord, report: VmReport): boolean {
  const { phase } = report;
  const followed =
    phase === 'queued' ? record.state !== 'unknown' : record.state === phase || isHeld(record, report);
  const mended = phase !== 'ready' || record.failure === null;
  return (
    followed &&
    mended &&
    record.phase === phase &&
    (report.overlay === undefined || report.overlay === record.overlay) &&
    areMerged(record.steps, report.steps) &&
    isSameDocument(record.restarts, restartsAfter(record, report)) &&
    isSameDocument(record.tasks, tasksAfter(record, report))
  );
}

/** The output of the try that failed is kept until the next one has some of its own, or is ready without. */
const tasksAfter = (record: VmRecord, { tasks, phase }: VmReport): VmRecord['tasks'] =>
  tasks.length === 0 && record.failures > 0 && phase !== 'ready' ? record.tasks : tasks;

/** Those of an earlier incarnation, or that an agent before this one told of, are kept until there are newer ones. */
const restartsAfter = (record: VmRecord, { restarts }: VmReport): VmRecord['restarts'] =>
  restarts === undefined || record.host === null
    ? record.restarts
    : { ...restarts, host: record.host, incarnation: record.incarnation };

function withReport(record: VmRecord, report: VmReport): VmRecord {
  const steps = mergeSteps(record.steps, report.steps);
  return {
    ...record,
    phase: report.phase,
    steps,
    tasks: tasksAfter(record, report),
    restarts: restartsAfter(record, report),
    overlay: report.overlay ?? record.overlay,
    diskIncarnation:
      record.kind === 'machine' && report.overlay !== undefined ? report.incarnation : record.diskIncarnation,
  };
}
