import { PROVES_STOPS } from '../../../agent/protocol/index.ts';
import type { Proof, VmRecord } from '../../model/records.ts';
import type { Draft } from '../draft.ts';
import type { Placement } from '../placement.ts';
import { sharedPoolOf } from '../shared-pools.ts';
import { dropSuccessor, promote } from '../successors.ts';
import { isLost } from './hosts.ts';
import { canTry, dropMove } from './stays.ts';
import { isElsewhere, type Wish } from './wishes.ts';

/**
 * A machine on a pool that hosts share moves cold: a place is kept on another host, it is stopped here, its agent's word that it
 * has stopped is the proof, and it goes on there at the next incarnation. When its host falls silent on the way, that word is
 * not to be had, and it needs another proof, as ever. Everything else stays with its disk.
 */
export function moveMachine(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  wish: Wish | null,
  moving: ReadonlySet<string>,
): void {
  const host = draft.get('hosts', String(record.host));
  // Silent: healing decides.
  if (!host || isLost(host)) return;
  if (record.successor) {
    tend(draft, placement, record, wish);
    return;
  }
  if (!wish?.cold || host.state !== 'up' || !sharedPoolOf(host, record.pool)) return;
  if (!provesStops(draft, host.name)) return;
  if ((record.moveTo === null && moving.has(record.networkId)) || !canTry(draft, record)) return;
  const { kind, definition, size, pool } = record;
  const target = { only: wish.to, avoid: record.host, failedOn: {} };
  const kept = placement.placeSuccessor(record, { kind, definition, size, pool }, target, wish.why);
  if (kept) draft.put('vms', record.id, { ...kept, power: 'stopped' });
  else if (record.moveTo !== null) dropMove(draft, record);
}

function tend(draft: Draft, placement: Placement, record: VmRecord, wish: Wish | null): void {
  const { successor } = record;
  if (!successor) return;
  const there = draft.get('hosts', successor.host);
  const proof = proofOfStop(draft, record);
  if (!there || isLost(there))
    dropSuccessor(draft, placement, record, `host ${successor.host} is ${there?.state ?? 'gone'}`);
  else if (there.draining) dropSuccessor(draft, placement, record, `host ${successor.host} drains`);
  else if (isElsewhere(wish, successor))
    dropSuccessor(draft, placement, record, `it is to go to ${wish?.to}`);
  else if (!wish?.cold) dropSuccessor(draft, placement, record, 'it is not to leave any more');
  else if (proof && there.state === 'up')
    promote(draft, placement, record, `its agent on ${record.host} has stopped it`, proof);
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
