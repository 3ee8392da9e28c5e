import type { VmRecord } from '../../model/records.ts';
import { drainingHosts, isVmAtRest, restlessVms } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { drainsForSuccessor } from '../drains.ts';
import { FORGIVEN } from '../failures.ts';
import { ON_HOST } from '../instance-states.ts';
import type { Placement } from '../placement.ts';
import { dropSuccessor, promote } from '../successors.ts';
import { again, againWhenDrained } from './again.ts';
import { isLost } from './hosts.ts';
import { moveMachine } from './machine-moves.ts';
import { replacementWish } from './roll-outs.ts';
import { canTry, clearStay, dropMove, noteFailure } from './stays.ts';
import { declaredOf } from './wanted.ts';
import { isElsewhere, isWorthWaitingFor, type Wish, wishOf } from './wishes.ts';

/**
 * What leaves its host, because a user moves it or its host drains. An instance that works is made elsewhere first, and goes from
 * here when its successor is ready: all of a host at once, as fast as the others have room and boot guests. One that does not work is
 * no loss. Machines, which are away meanwhile, go one at a time for each application, but those that a user moves.
 */
export function moveAway(draft: Draft, placement: Placement): void {
  const moving = new Set(
    draft
      .of('vms', restlessVms)
      .filter(({ kind, successor }) => kind === 'machine' && successor)
      .map(({ networkId }) => networkId),
  );
  const draining = draft.of('hosts', drainingHosts);
  const mayLeave = (vm: VmRecord) => (vm.host !== null && draining.has(vm.host)) || !isVmAtRest(vm);
  for (const found of draining.size === 0
    ? draft.of('vms', restlessVms)
    : draft.all('vms').filter(mayLeave)) {
    if (found.host === null || found.deleting || placement.isFull) continue;
    const leaving = wishOf(draft, found);
    const wish = leaving ?? replacementWish(draft, found);
    if (!wish && !found.successor && !found.stay) continue;
    const record = clearStay(draft, found, wish);
    if (record.kind !== 'machine') {
      if (record.successor) tend(draft, placement, record, wish);
      if (leaving && !record.drain) leave(draft, placement, record, leaving);
      continue;
    }
    moveMachine(draft, placement, record, wish, moving);
    if (draft.get('vms', record.id)?.successor) moving.add(record.networkId);
  }
}

/** @param record as it was before what there was of a successor was seen to. */
function leave(draft: Draft, placement: Placement, record: VmRecord, wish: Wish): void {
  const current = draft.get('vms', record.id) ?? record;
  if (current.successor || current.host !== record.host) return;
  if (draft.get('hosts', String(record.host))?.state !== 'up') return;
  if (isWorthWaitingFor(current)) begin(draft, placement, current, wish);
  else if (ON_HOST.has(current.state) && canTry(draft, current)) leaveAtOnce(draft, placement, current, wish);
}

/** What becomes of a successor that there is. */
function tend(draft: Draft, placement: Placement, record: VmRecord, wish: Wish | null): void {
  const { successor } = record;
  if (!successor) return;
  const there = draft.get('hosts', successor.host);
  const drop = (why: string) => dropSuccessor(draft, placement, record, why);
  if (!there || isLost(there)) drop(`host ${successor.host} is ${there?.state ?? 'gone'}`);
  else if (successor.state === 'failed') noteFailure(draft, drop(failureOf(record)), record, wish);
  else if (successor.state === 'ready') {
    if (!drainsForSuccessor(draft, record)) promote(draft, placement, record, 'it is ready');
  } else if (there.draining) drop(`host ${successor.host} drains`);
  else if (isElsewhere(wish, successor)) drop(`it is to go to ${wish?.to}`);
  else if (!isWorthWaitingFor(record) && record.state !== 'unknown' && record.state !== 'draining')
    promote(draft, placement, record, `the one on ${record.host} does not work`);
  else if (!wish) drop('it is not to leave any more');
  else if (successor.definition !== declaredOf(draft, record)?.definition) drop('its definition has changed');
}

const failureOf = ({ successor }: VmRecord) => `it failed: ${successor?.failure?.message ?? ''}`;

/** It is made from what is declared now, so that a change of the definition comes with it. */
function begin(draft: Draft, placement: Placement, record: VmRecord, wish: Wish): void {
  if (!canTry(draft, record)) return;
  const made = declaredOf(draft, record);
  if (!made) return;
  const { kind, definition, size, pool } = made;
  const failedOn = record.stay?.failedOn ?? {};
  const target = { only: wish.to, avoid: record.host, failedOn };
  if (placement.placeSuccessor(record, { kind, definition, size, pool }, target, wish.why)) return;
  if (record.moveTo !== null) dropMove(draft, record);
  // What was asked of it here is done here when it cannot be done elsewhere.
  else if (record.reimageRequested)
    againWhenDrained(placement, record, 'it was re-imaged', { only: record.host }, FORGIVEN);
}

function leaveAtOnce(draft: Draft, placement: Placement, record: VmRecord, wish: Wish): void {
  const patch = record.moveTo === null ? {} : FORGIVEN;
  const moved = again(placement, record, wish.why, { only: wish.to, avoid: record.host }, patch);
  if (!moved && record.moveTo !== null) dropMove(draft, record);
}
