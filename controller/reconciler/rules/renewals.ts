import type { VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import { FORGIVEN, isGivenUp } from '../failures.ts';
import { backOff, ON_HOST } from '../instance-states.ts';
import { imageOf, type Placement } from '../placement.ts';
import { forgottenIncarnation, type Home, homesOf } from './adoption.ts';
import { again } from './again.ts';
import { declaredVms } from './wanted.ts';

/** Gives a new incarnation to whatever needs one: not placed yet, failed and its wait is over (but not given up), re-imaged, moved, drained, or made from an older definition. */
export function renew(draft: Draft, placement: Placement): void {
  const due = [...draft.all('vms')].filter((record) => mayNeedRenewal(draft, record));
  for (const record of due.sort(inOrder)) {
    if (placement.isFull) break;
    const forgotten = forgottenIncarnation(draft, record);
    if (record.state === 'pending') placeFirst(draft, placement, record);
    else if (forgotten !== null)
      again(
        placement,
        record,
        'its host has a newer one than was known',
        { only: record.host },
        { incarnation: forgotten },
      );
    else if (record.state === 'backing-off') retry(draft, placement, record);
    else if (record.reimageRequested)
      again(placement, record, 'it was re-imaged', { only: record.host }, FORGIVEN);
    else if (record.state === 'failed' && !isGivenUp(draft, record))
      backOff(draft, record, 'there is more to try');
  }
  replaceOutdated(draft, placement);
  moveAway(draft, placement);
}

const RENEWED: ReadonlySet<VmRecord['state']> = new Set(['pending', 'backing-off', 'failed']);

/** Most records need nothing, and are not put in order either. */
const mayNeedRenewal = (draft: Draft, record: VmRecord): boolean =>
  !record.deleting &&
  (RENEWED.has(record.state) || record.reimageRequested || forgottenIncarnation(draft, record) !== null);

const inOrder = (one: VmRecord, other: VmRecord) =>
  one.app < other.app
    ? -1
    : one.app > other.app
      ? 1
      : (one.index ?? -1) - (other.index ?? -1) || (one.id < other.id ? -1 : 1);

function placeFirst(draft: Draft, placement: Placement, record: VmRecord): void {
  if (!hasImage(draft, record)) return;
  const [home, ...others] = homesOf(draft, record);
  if (home) {
    adopt(draft, placement, record, home, others);
    return;
  }
  const why =
    record.state === 'backing-off'
      ? 'its wait is over'
      : record.attempt === 1
        ? 'it is new'
        : 'its old host is given up';
  placement.place(record, { only: null, avoid: null }, why);
}

/** A machine whose disk was found goes on with it, there and nowhere else. */
function adopt(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  home: Home,
  others: readonly Home[],
): void {
  if (others.length > 0) {
    const hosts = [home, ...others].map(({ host }) => host).join(' and on ');
    const message = `disks of ${record.id} were found on ${hosts}; which one is the right one is not for Weft to say`;
    const remedy =
      'Move all but one of its folders out of those hosts’ pools; then this machine goes on with the one that is left.';
    backOff(draft, record, message, { failure: { code: 'conflict', message, remedy, step: 'place' } });
    return;
  }
  const incarnation = Math.max(record.incarnation, home.incarnation);
  const target = { only: home.host, avoid: null };
  placement.place({ ...record, incarnation }, target, `its disk was found on ${home.host} and is adopted`);
}

function retry(draft: Draft, placement: Placement, record: VmRecord): void {
  if (record.retryAtMs !== null && record.retryAtMs > draft.nowMs) return;
  if (record.host === null) {
    placeFirst(draft, placement, record);
    return;
  }
  if (!hasImage(draft, record)) return;
  // A machine stays where its disk is.
  again(placement, record, 'its wait is over', {
    only: record.kind === 'machine' ? record.host : null,
  });
}

/** A reference that means nothing now is told, kept on the record, and tried again later. */
function hasImage(draft: Draft, record: VmRecord): boolean {
  const { goal, failure } = imageOf(draft, record);
  if (goal) return true;
  if (failure) backOff(draft, record, failure.message, { failure: { ...failure, step: 'image' } });
  return false;
}

/** One instance of a role at a time, the next only when the others are ready. One that does not work is no loss and goes at once. */
function replaceOutdated(draft: Draft, placement: Placement): void {
  for (const application of [...draft.all('applications')]) {
    if (application.deleting) continue;
    const blocked = new Set<string>();
    for (const made of declaredVms(application)) {
      const record = draft.get('vms', made.id);
      if (!record || record.deleting || record.definition === made.definition) continue;
      const patch = { definition: made.definition, size: made.size, pool: made.pool, kind: made.kind };
      if (record.host === null) {
        draft.put('vms', record.id, { ...record, ...patch, failedOn: {}, retryAtMs: null });
        continue;
      }
      if (record.state === 'unknown') continue;
      const works = record.state === 'ready' || record.state === 'unready';
      if (works && (blocked.has(record.networkId) || !othersReady(draft, record))) continue;
      blocked.add(record.networkId);
      if (!imageOf(draft, record).goal) continue;
      const only = record.kind === 'machine' ? record.host : null;
      again(placement, record, 'its definition has changed', { only }, { ...patch, ...FORGIVEN });
    }
  }
}

function othersReady(draft: Draft, record: VmRecord): boolean {
  for (const other of draft.all('vms'))
    if (
      other.networkId === record.networkId &&
      other.id !== record.id &&
      !other.deleting &&
      // Given up: nothing waits for it.
      other.state !== 'failed' &&
      other.state !== 'ready'
    )
      return false;
  return true;
}

/** What a user moves goes at once; from a host that drains, one of a role at a time. Machines stay with their disks. */
function moveAway(draft: Draft, placement: Placement): void {
  const moving = new Set<string>();
  for (const record of [...draft.all('vms')]) {
    if (record.kind === 'machine' || record.deleting || record.host === null || !ON_HOST.has(record.state))
      continue;
    if (record.moveTo !== null) {
      const only = record.moveTo === '*' ? null : record.moveTo;
      const moved = again(placement, record, 'it was moved', { only, avoid: record.host }, FORGIVEN);
      if (!moved) dropMove(draft, record);
    } else if (
      draft.get('hosts', record.host)?.draining &&
      !moving.has(record.networkId) &&
      othersReady(draft, record)
    ) {
      moving.add(record.networkId);
      again(placement, record, `host ${record.host} drains`, { avoid: record.host });
    }
  }
}

/** A move that no host takes is told once and given up; the VM stays. */
function dropMove(draft: Draft, record: VmRecord): void {
  const current = draft.get('vms', record.id) ?? record;
  draft.put('vms', record.id, { ...current, moveTo: null });
  draft.tell(
    'vm-refused',
    record.id,
    `it could not be moved to ${record.moveTo === '*' ? 'another host' : record.moveTo}`,
  );
}

/** Unix ms of the next end of a wait; null: none waits. One that is over was acted on: if no host took it, a change will wake it. */
export function nextRetryMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { retryAtMs, state } of draft.all('vms'))
    if (state === 'backing-off' && retryAtMs !== null && retryAtMs > draft.nowMs)
      next = Math.min(next ?? Number.POSITIVE_INFINITY, retryAtMs);
  return next;
}
