import type { RestoreGoal } from '../../../agent/protocol/index.ts';
import { isHandedOver } from '../../model/live-move.ts';
import type { ApplicationRecord, VmRecord } from '../../model/records.ts';
import { restlessVms } from '../at-rest.ts';
import { derived } from '../derived.ts';
import type { Draft } from '../draft.ts';
import { FORGIVEN, isGivenUp } from '../failures.ts';
import { backOff } from '../instance-states.ts';
import { imageOf, type Placement } from '../placement.ts';
import { forgottenIds, forgottenIncarnation, type Home, homesOf } from './adoption.ts';
import { again, againWhenDrained } from './again.ts';
import { sourceOf } from './restored.ts';
import { replaceByFollowing } from './roll-outs.ts';
import { type Declared, declaredVms } from './wanted.ts';
import { isWorthWaitingFor, leavesReady, works } from './wishes.ts';

/** Gives a new incarnation to whatever needs one: not placed yet, failed and its wait is over (but not given up), re-imaged, or made from an older definition. */
export function renew(draft: Draft, placement: Placement): void {
  for (const record of dueRecords(draft).sort(inOrder)) {
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
    else if (record.restoreRequested) restoreInPlace(placement, record, record.restoreRequested);
    // What is to follow on it is the next try.
    else if (record.state === 'backing-off' && record.successor) continue;
    else if (record.state === 'backing-off') retry(draft, placement, record);
    // What takes its place, and is ready, is made anew as well.
    else if (record.reimageRequested && !leavesReady(draft, record) && record.successor?.state !== 'ready')
      againWhenDrained(placement, record, 'it was re-imaged', { only: record.host }, FORGIVEN);
    else if (record.state === 'failed' && !isGivenUp(draft, record))
      backOff(draft, record, 'there is more to try');
  }
  replaceOutdated(draft, placement);
}

const RENEWED: ReadonlySet<VmRecord['state']> = new Set(['pending', 'backing-off', 'failed']);

/** Most records need nothing, and are not put in order either. */
function dueRecords(draft: Draft): VmRecord[] {
  const forgotten = forgottenIds(draft);
  // What its host knows a newer incarnation of may be at rest by its record.
  const records = forgotten.size === 0 ? draft.of('vms', restlessVms) : draft.all('vms');
  return records.filter(
    (record) =>
      !record.deleting &&
      !isHandedOver(record) &&
      (RENEWED.has(record.state) ||
        record.reimageRequested ||
        Boolean(record.restoreRequested) ||
        (forgotten.has(record.id) && forgottenIncarnation(draft, record) !== null)),
  );
}

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
  const source = sourceOf(draft, record);
  if (source === null) {
    placement.place(record, { only: null, avoid: null }, why);
    return;
  }
  if (source.restore === null) {
    backOff(draft, record, source.failure.message, { failure: { ...source.failure, step: 'place' } });
    return;
  }
  for (const only of source.hosts)
    if (placement.place({ ...record, restore: source.restore }, { only, avoid: null }, why)) return;
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

/** Also of a machine that waits or has failed: that may be why it is restored. */
function restoreInPlace(placement: Placement, record: VmRecord, restore: RestoreGoal): void {
  const patch = { restore: { ...restore, since: record.incarnation + 1 }, restoreRequested: null };
  const why = `its disk becomes backup ${restore.id} again`;
  againWhenDrained(placement, record, why, { only: record.host }, { ...patch, ...FORGIVEN });
}

function retry(draft: Draft, placement: Placement, record: VmRecord): void {
  if (record.retryAtMs !== null && record.retryAtMs > draft.nowMs) return;
  if (record.host === null) {
    placeFirst(draft, placement, record);
    return;
  }
  if (!hasImage(draft, record)) return;
  // A machine stays where its disk is; so does what is to leave and that no other host takes.
  const why = 'its wait is over';
  const isBound = record.kind === 'machine';
  if (again(placement, record, why, { only: isBound ? record.host : null }) || isBound) return;
  if (draft.get('hosts', record.host)?.draining) again(placement, record, why, { only: record.host });
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
    const outdated = outdatedOf(draft, application);
    const blocked = networksRolling(draft, outdated);
    for (const made of outdated) {
      const record = draft.get('vms', made.id);
      if (!record || record.deleting || isHandedOver(record) || record.definition === made.definition)
        continue;
      const patch = { definition: made.definition, size: made.size, pool: made.pool, kind: made.kind };
      if (record.host === null) {
        draft.put('vms', record.id, { ...record, ...patch, failedOn: {}, retryAtMs: null });
        continue;
      }
      if (record.state === 'unknown') continue;
      // What follows on it, or will, is made from the new one.
      if (record.successor?.definition === made.definition || leavesReady(draft, record)) continue;
      // What has its place in a moment is what is replaced then.
      if (record.role !== null && record.successor?.state === 'ready') continue;
      if (works(record) && (blocked.has(record.networkId) || !othersReady(draft, record))) continue;
      blocked.add(record.networkId);
      // One that drains gets its connections again where there is nothing to make it of any more.
      if (record.state !== 'draining' && !imageOf(draft, record).goal) continue;
      if (
        record.role !== null &&
        isWorthWaitingFor(record) &&
        replaceByFollowing(draft, placement, record, made)
      )
        continue;
      const only = record.kind === 'machine' ? record.host : null;
      const why = 'its definition has changed';
      againWhenDrained(placement, record, why, { only }, { ...patch, ...FORGIVEN }, { inPlace: true });
    }
  }
}

/** Of the roles of which a new one is in the making on another host, for another reason than that the old one leaves. */
const networksRolling = (draft: Draft, outdated: readonly Declared[]): Set<string> =>
  new Set(
    outdated.flatMap(({ id }) => {
      const record = draft.get('vms', id);
      return record?.role != null && record.successor && !leavesReady(draft, record)
        ? [record.networkId]
        : [];
    }),
  );

/** An application → all records of VMs, among which none of its own is made from an older definition. */
const upToDate = new WeakMap<ApplicationRecord, readonly VmRecord[]>();

/** What it declares and is made from an older definition, in the order in which it is declared. */
function outdatedOf(draft: Draft, application: ApplicationRecord): readonly Declared[] {
  const records = draft.all('vms');
  if (upToDate.get(application) === records) return [];
  const places = derived(application, declaredPlaces);
  const declared = declaredVms(application);
  const outdated: number[] = [];
  for (const { id, app, deleting, definition } of records) {
    const place = app === application.name && !deleting ? places.get(id) : undefined;
    if (place !== undefined && declared[place]?.definition !== definition) outdated.push(place);
  }
  if (outdated.length === 0) upToDate.set(application, records);
  return outdated.sort((one, other) => one - other).flatMap((place) => declared[place] ?? []);
}

/** VM id → which one of the declared it is. */
const declaredPlaces = (application: ApplicationRecord): ReadonlyMap<string, number> =>
  new Map(declaredVms(application).map(({ id }, place) => [id, place]));

const othersReady = (draft: Draft, { id, networkId }: VmRecord): boolean =>
  (draft.of('vms', unreadyByNetwork).get(networkId) ?? []).every((other) => other === id);

/** Network → ids of those that the others wait for. Nothing waits for what was given up. */
function unreadyByNetwork(records: readonly VmRecord[]): ReadonlyMap<string, readonly string[]> {
  const unready = new Map<string, string[]>();
  for (const { id, networkId, state, deleting } of records) {
    if (deleting || state === 'failed' || state === 'ready') continue;
    const those = unready.get(networkId);
    if (those) those.push(id);
    else unready.set(networkId, [id]);
  }
  return unready;
}

/** Unix ms of the next end of a wait; null: none waits. One that is over was acted on: if no host took it, a change will wake it. */
export function nextRetryMs(draft: Draft): number | null {
  let next: number | null = null;
  for (const { retryAtMs, state } of draft.of('vms', restlessVms))
    if (state === 'backing-off' && retryAtMs !== null && retryAtMs > draft.nowMs)
      next = Math.min(next ?? Number.POSITIVE_INFINITY, retryAtMs);
  return next;
}
