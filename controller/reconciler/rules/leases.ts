import type { GuardState } from '../../../agent/protocol/index.ts';
import type { HostRecord, LeaseEvidence, Proof } from '../../model/records.ts';
import { downHosts } from '../at-rest.ts';
import type { Draft } from '../draft.ts';
import { isHolding } from './holding.ts';

/** Clocks of two machines may run apart by this share. */
const DRIFT = 0.01;
const SLACK_MS = 5_000;

/**
 * A host whose lease ran out so long ago that its guard has stopped its machines on shared pools, or its watchdog has reset it:
 * `down ⇒ fenced`. Only where the watchdog was armed when the last lease was granted, and is one to rely on. None while healing
 * holds still.
 */
export function proveByLeases(draft: Draft, holds: boolean): void {
  if (holds && isHolding(draft)) return;
  for (const host of draft.of('hosts', downHosts)) {
    const proof = proofOf(draft, host);
    if (!proof) continue;
    draft.put('hosts', host.name, {
      ...host,
      ...{ state: 'fenced', evidence: proof.detail, proof, stateSinceMs: draft.nowMs },
    });
    draft.tell('host-fenced', host.name, `down ⇒ fenced: ${proof.detail}`, { proof });
  }
}

/** Unix ms at which the next such proof is due; null: none is. */
export function nextLeaseProofMs(draft: Draft): number | null {
  const times = draft.of('hosts', downHosts).flatMap((host) => {
    const terms = leaseTerms(host);
    const ageMs = draft.world.leaseAges?.get(host.name);
    // One that is due already waits for something else than time.
    if (!terms || ageMs === undefined || ageMs >= totalMs(terms)) return [];
    return [draft.nowMs + totalMs(terms) - ageMs];
  });
  return times.length === 0 ? null : Math.min(...times);
}

export type LeaseTerms = Omit<LeaseEvidence, 'lastGrantMs'>;

/** After which time without a lease a host's machines on shared pools are proven dead; null: never, by this. */
export function leaseTerms({ guard }: { readonly guard?: GuardState | null }): LeaseTerms | null {
  const watchdog = guard?.watchdog;
  if (!guard || !watchdog?.armed || !watchdog.dependable || watchdog.timeoutMs <= 0) return null;
  const { timeoutMs } = watchdog;
  // Beside its own timeout: a guard may be held up between its look at the lease and its feeding, and the kernel feeds once more when
  // a guard is killed. Each of them comes at most one timeout after the feeding before it, or the host has been reset by then.
  const late = 2 * timeoutMs;
  const drift = Math.ceil((guard.leaseMs + timeoutMs + late) * DRIFT);
  return { leaseMs: guard.leaseMs, watchdogTimeoutMs: timeoutMs, marginMs: late + drift + SLACK_MS };
}

export const totalMs = ({ leaseMs, watchdogTimeoutMs, marginMs }: LeaseTerms): number =>
  leaseMs + watchdogTimeoutMs + marginMs;

function proofOf(draft: Draft, host: HostRecord): Proof | null {
  const { world, nowMs } = draft;
  const ageMs = world.leaseAges?.get(host.name);
  const terms = leaseTerms(host);
  // Down in the store already: since that was written no lease was granted, so this age is the last one's.
  const wasDown = host.state === 'down' && world.hosts.get(host.name)?.state === 'down';
  if (!wasDown || !terms || ageMs === undefined || ageMs < totalMs(terms)) return null;
  const identity = host.guard?.watchdog?.identity;
  const detail =
    `its lease ran out: none was granted for ${seconds(ageMs)}; a lease lasts ${seconds(terms.leaseMs)}, and its watchdog ` +
    `(${identity}, armed) resets it within ${seconds(terms.watchdogTimeoutMs)} of that, with a margin of ${seconds(terms.marginMs)}`;
  const lease: LeaseEvidence = { lastGrantMs: Math.round(nowMs - ageMs), ...terms };
  return { kind: 'lease-expired', host: host.name, atMs: nowMs, detail, lease };
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
