import { isHandedOver } from '../../model/live-move.ts';
import type { HostRecord, Proof, VmRecord } from '../../model/records.ts';
import { livingHosts } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { change } from '../instance-states.ts';
import type { Placement } from '../placement.ts';
import { dropSuccessor, promote } from '../successors.ts';
import { again } from './again.ts';
import { outlivesItsHost } from './fencing.ts';
import { isHeld } from './holding.ts';
import { isLost } from './hosts.ts';
import { leaseTerms, totalMs } from './leases.ts';
import { storageProofOf } from './storage-fences.ts';
import { supersede } from './superseded.ts';

/**
 * What happens to the VMs of a host that is down. An instance holds no state: it is made anew elsewhere at once. A machine is
 * `unknown`: on a pool of its host's own it waits for its host; on one that other hosts share it goes on there, once, and only
 * when its host is proven to be dead.
 * @param holds whether healing holds still when too many hosts are silent at once.
 */
export function healLostVms(draft: Draft, placement: Placement, holds: boolean): void {
  // Nothing in here changes which hosts are lost.
  const living = draft.of('hosts', livingHosts);
  for (const record of draft.all('vms')) {
    if (record.host === null || living.has(record.host)) continue;
    const host = draft.get('hosts', record.host);
    if (record.kind === 'machine') healMachine(draft, placement, record, host);
    else if (record.deleting) continue;
    else if (holds && host?.state !== 'fenced' && isHeld(draft, host)) hold(draft, record);
    else if (hasLiveSuccessor(draft, record))
      promote(draft, placement, record, `host ${record.host} is ${host?.state ?? 'gone'}`);
    else heal(draft, record, placement, host);
  }
}

/** What was begun elsewhere is further than what would be begun now. */
function hasLiveSuccessor(draft: Draft, { successor }: VmRecord): boolean {
  const there = successor ? draft.get('hosts', successor.host) : undefined;
  return there !== undefined && !isLost(there) && successor?.state !== 'failed';
}

function healMachine(
  draft: Draft,
  placement: Placement,
  record: VmRecord,
  host: HostRecord | undefined,
): void {
  if (record.deleting || !host || !outlivesItsHost(draft, record)) waitForHost(draft, record);
  else {
    const proof = host.proof ?? storageProofOf(draft, record);
    // Which host has it is for the end of its hand-over to say: the other one may run it at this moment.
    if (proof === null || isHandedOver(record)) waitForProof(draft, record, host, proof);
    else if (!restart(draft, placement, record, proof))
      // With the reasons why no host takes it.
      waitForProof(draft, draft.get('vms', record.id) ?? record, host, proof);
  }
}

function waitForHost(draft: Draft, record: VmRecord): void {
  if (record.state === 'unknown') return;
  change(draft, record, 'unknown', `host ${record.host} is not heard from; its disk is there, so it waits`, {
    failure: {
      code: 'host-unreachable',
      message: `host ${record.host}, which has the disk of this machine, is not heard from`,
      remedy: `Bring host ${record.host} back; the machine goes on with its data.`,
    },
  });
}

/** Nothing proves yet that its old copy is dead; two copies on one disk would destroy it. */
function waitForProof(draft: Draft, record: VmRecord, host: HostRecord, proof: Proof | null): void {
  const { name, fencing, offer } = host;
  const terms = leaseTerms(host);
  const byLease = terms
    ? `; its guard's lease and its watchdog prove it ${Math.ceil(totalMs(terms) / 1000)} s after its last lease`
    : '';
  const devices = offer?.fence.length ?? 0;
  const known = proof
    ? `host ${name} is ${proof.kind === 'storage-fence' ? 'shut out of its disk' : 'dead'} (${proof.detail}), and no other host can take this machine`
    : devices === 0
      ? `host ${name} is not heard from, has no fence device, and ${terms ? 'nothing proves yet' : 'nothing else proves'} that it is dead${byLease}`
      : fencing?.isShutOut
        ? `host ${name} is not heard from; ${fencing.message}, which proves nothing of this machine's disk${byLease}`
        : fencing
          ? `host ${name} is not heard from, and could not be fenced yet (tried ${fencing.attempts} times; ${fencing.message})${byLease}`
          : `host ${name} is not heard from, and is being fenced${byLease}`;
  const remedy = proof
    ? 'Bring that host back, or make room on one that shares the pool; see placement in weft why.'
    : `Bring host ${name} back. Or make sure that it is off, then sign for it: weft host confirm-dead ${name}`;
  const failure = { code: 'host-unreachable', message: known, remedy };
  if (record.state === 'unknown' && record.failure?.message === known) return;
  change(draft, record, 'unknown', known, { failure });
}

/** @returns false when no other host takes it. */
function restart(draft: Draft, placement: Placement, record: VmRecord, proof: Proof): boolean {
  const why = `its host ${record.host} is ${proof.kind === 'storage-fence' ? 'shut out of its disk' : 'dead'}`;
  const placed = again(placement, record, why, { avoid: record.host }, { proof, failures: 0 });
  if (!placed) return false;
  supersede(draft, record);
  draft.tell(
    'machine-restarted',
    record.id,
    `incarnation ${placed.incarnation} on ${placed.host}: ${proof.detail}`,
    { from: record.host, to: placed.host, incarnation: placed.incarnation, proof },
  );
  return true;
}

function hold(draft: Draft, record: VmRecord): void {
  if (record.state === 'unknown') return;
  change(
    draft,
    record,
    'unknown',
    `host ${record.host} is silent, and so are too many others: healing holds still`,
  );
}

function heal(draft: Draft, found: VmRecord, placement: Placement, host: HostRecord | undefined): void {
  const record = dropSuccessor(draft, placement, found, 'both its hosts are lost');
  placement.release(record);
  supersede(draft, record);
  const why = `host ${record.host} is ${host?.state ?? 'gone'}`;
  draft.tell('vm-heal', record.id, `${why}: incarnation ${record.incarnation} is given up`, {
    host: record.host,
    incarnation: record.incarnation,
  });
  change(draft, record, 'pending', why, {
    host: null,
    phase: null,
    overlay: null,
    readyAtMs: null,
    retryAtMs: null,
  });
}
