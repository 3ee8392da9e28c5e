import { WeftError } from '../../agent/kit/errors.ts';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { VmReport } from '../../agent/protocol/index.ts';
import type { NetworkRecord, Proof, Successor, VmRecord } from '../model/records.ts';
import { exchangeAddresses, keepAddress, networkOf, releaseAddress, takeAddress } from './addresses.ts';
import { supersedingHosts } from './at-rest.ts';
import { derived } from './derived.ts';
import type { Draft } from './draft.ts';
import { FORGIVEN } from './failures.ts';
import { canFollow, change } from './instance-states.ts';
import type { Placement } from './placement.ts';
import { supersede, supersedeOn } from './rules/superseded.ts';
import { mergeSteps } from './steps.ts';

/** Under which name a subnet keeps an address that is not, or is no longer, the VM's own. @param incarnation the first that had it. */
const keptName = (vmId: string, incarnation: number) => `${vmId}@${incarnation}`;

const oldName = ({ id, addressSince = 0 }: VmRecord) => keptName(id, addressSince);

/** A VM is no more, and its address is nobody else's before the last host that may still run it has said that it does not. */
export const keepOldAddress = (draft: Draft, record: VmRecord): void =>
  keepAddress(draft, record.networkId, record.id, oldName(record));

/** An instance's successor has an address of its own; a machine takes its own along. Null: the subnet has none left. */
export function addressOfSuccessor(
  draft: Draft,
  record: VmRecord,
  incarnation: number,
): Pick<Successor, 'address' | 'mac'> | null {
  if (record.kind === 'machine') return { address: record.address, mac: record.mac };
  try {
    const network = networkOf(draft, record.app, record.networkId.slice(record.app.length + 1));
    return takeAddress(draft, network, keptName(record.id, incarnation));
  } catch (error) {
    if (WeftError.from(error).code !== 'no-capacity') throw error;
    return null;
  }
}

/** The successor comes to nothing; what its host has of it goes as soon as the host hears of it. @returns the record without it. */
export function dropSuccessor(draft: Draft, placement: Placement, record: VmRecord, why: string): VmRecord {
  const { successor } = record;
  if (!successor) return record;
  placement.releaseSuccessor(record);
  // Of a machine that is stopped for its move no other host has heard.
  if (record.kind !== 'machine' || successor.live)
    supersedeOn(draft, successor.host, record.id, successor.incarnation);
  const next = { ...record, power: record.deleting ? record.power : 'running', successor: null } as const;
  draft.put('vms', record.id, next);
  draft.tell(
    'vm-successor-dropped',
    record.id,
    `incarnation ${successor.incarnation} on ${successor.host} comes to nothing: ${why}`,
    { host: successor.host, incarnation: successor.incarnation },
  );
  return next;
}

/** The successor to which a report had nothing to add. Neither ever changes. */
const nothingNew = new WeakMap<VmReport, Successor>();

/** Takes a host's word on a successor in. It changes nothing of the VM that goes on meanwhile. */
export function followSuccessor(draft: Draft, record: VmRecord, report: VmReport): void {
  const { successor } = record;
  if (!successor || report.incarnation !== successor.incarnation || successor.state === 'failed') return;
  if (nothingNew.get(report) === successor) return;
  const { phase, restarts } = report;
  const failure = report.failure ?? { code: 'internal', message: 'the host gave no reason' };
  // An agent that has just begun, and found it running, knows nothing against it.
  const isKept = report.foundRunning === true && successor.state === 'ready';
  const state = phase === 'queued' || isKept ? successor.state : phase;
  const next: Successor = {
    ...successor,
    state,
    phase,
    failure: phase === 'failed' ? failure : null,
    steps: mergeSteps(successor.steps, report.steps),
    tasks: report.tasks,
    restarts: restarts
      ? { ...restarts, host: successor.host, incarnation: successor.incarnation }
      : successor.restarts,
    overlay: report.overlay ?? successor.overlay,
    sinceMs: state === successor.state ? successor.sinceMs : draft.nowMs,
  };
  if (isSameDocument(next, successor)) nothingNew.set(report, successor);
  else draft.put('vms', record.id, { ...record, successor: next });
}

/**
 * The successor is the VM from now on, and what was before is superseded on its host. All of it is in the pass's one transaction.
 * @param proof of a machine's: what says that it has stopped.
 */
export function promote(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  why: string,
  proof: Proof | null = null,
): void {
  const { successor } = record;
  if (!successor) return;
  placement.release(record);
  supersede(draft, record);
  if (record.kind !== 'machine')
    exchangeAddresses(draft, record.networkId, {
      vmId: record.id,
      successor: keptName(record.id, successor.incarnation),
      old: oldName(record),
    });
  const { sinceMs: _sinceMs, live: _live, state, ...made } = successor;
  const patch: Partial<VmRecord> = {
    ...made,
    ...FORGIVEN,
    ...(record.kind === 'machine' ? {} : { addressSince: successor.incarnation }),
    power: 'running',
    proof: proof ?? record.proof,
    successor: null,
    stay: null,
    moveTo: null,
    reimageRequested: false,
    retryAtMs: null,
    readyAtMs: state === 'ready' ? draft.nowMs : null,
    ...(record.drain ? { drain: null } : {}),
    ...(record.rebootFrom == null ? {} : { rebootFrom: null }),
    attempt: record.attempt + 1,
  };
  // What was given up is followed by nothing but a new beginning.
  const before = canFollow(record.state, state) ? record : change(draft, record, 'placing', why);
  const next = change(draft, before, state, why, patch);
  if (before.state === state) draft.put('vms', record.id, { ...next, stateSinceMs: draft.nowMs });
  draft.tell(
    'vm-moved',
    record.id,
    `incarnation ${successor.incarnation} on ${successor.host} has taken the place of ${record.incarnation} on ${record.host}: ${why}`,
    { from: record.host, to: successor.host, before: record.incarnation, incarnation: successor.incarnation },
  );
}

/** Addresses kept for incarnations of which nothing is left on any host are free again. */
export function releaseKeptAddresses(draft: Draft): void {
  for (const network of draft.all('networks'))
    for (const name of derived(network, keptNames))
      if (!isKept(draft, name)) releaseAddress(draft, network.id, name);
}

const keptNames = ({ addresses }: NetworkRecord): readonly string[] =>
  Object.keys(addresses).filter((name) => name.includes('@'));

function isKept(draft: Draft, name: string): boolean {
  const at = name.lastIndexOf('@');
  const [vmId, incarnation] = [name.slice(0, at), Number(name.slice(at + 1))];
  const record = draft.get('vms', vmId);
  if (record?.successor?.incarnation === incarnation) return true;
  // Its host was given a newer one, and has not said yet that it has begun with it.
  if (record && record.host !== null && record.phase === null) return true;
  for (const { superseded } of draft.of('hosts', supersedingHosts))
    if ((superseded[vmId] ?? 0) >= incarnation) return true;
  return false;
}
