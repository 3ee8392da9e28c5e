import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decide } from '../../../agent/guard/decide.ts';
import { leaseTerms, totalMs } from '../../../controller/reconciler/rules/leases.ts';

const TIMEOUT_MS = 10_000;
const LEASE_MS = 30_000;
const terms = leaseTerms({
  guard: {
    leaseMs: LEASE_MS,
    running: true,
    watchdog: { armed: true, dependable: true, timeoutMs: TIMEOUT_MS, identity: 'iTCO' },
  },
});

interface Round {
  /** Held up between its look at the lease and what it does then. */
  readonly heldUpMs: number;
  readonly untilNextMs: number;
  /** Killed after this round, which feeds once more, and started again. */
  readonly isKilled: boolean;
}

/**
 * The life of a guard whose host has its last lease at 0, whose machines cannot be killed, and that is held up and killed at will.
 * @returns when the watchdog has reset the host, ms after that lease was granted.
 */
function resetAtMs(rounds: readonly Round[]): number {
  let nowMs = 0;
  let fedMs = 0;
  let isOpen = true;
  const isReset = () => nowMs >= fedMs + TIMEOUT_MS;
  for (const { heldUpMs, untilNextMs, isKilled } of rounds) {
    const lease = { untilMs: LEASE_MS, released: false, toldWord: null };
    const watchdog = isOpen ? 'open' : 'closed';
    const actions = decide({ nowMs, lease, remaining: 1, watchdog, neverStops: false, leaving: null });
    nowMs += heldUpMs;
    if (isReset()) break;
    if (actions.includes('feed') || actions.includes('arm')) fedMs = nowMs;
    if (actions.includes('arm')) isOpen = true;
    if (isKilled && isOpen) {
      fedMs = nowMs;
      isOpen = false;
    }
    nowMs += untilNextMs;
    if (isReset()) break;
  }
  return fedMs + TIMEOUT_MS;
}

test('a host whose machines cannot be stopped is reset before its death counts as proven, however its guard is held up or killed', () => {
  if (!terms) throw new Error('this guard proves nothing');
  const aRound = fc.record({
    heldUpMs: fc.oneof(fc.constant(0), fc.nat({ max: 500 }), fc.nat({ max: TIMEOUT_MS + 1_000 })),
    untilNextMs: fc.nat({ max: TIMEOUT_MS + 1_000 }),
    isKilled: fc.oneof(
      { weight: 4, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  });
  fc.assert(
    fc.property(fc.array(aRound, { minLength: 1, maxLength: 60 }), (rounds) => {
      expect(resetAtMs(rounds)).toBeLessThan(totalMs(terms));
    }),
    { numRuns: 3_000 },
  );
});

test('each part of the margin is needed: a hold-up and a kill, each at its worst moment', () => {
  const worst: Round[] = [
    ...Array<Round>(3).fill({ heldUpMs: 0, untilNextMs: 9_990, isKilled: false }),
    // Fed just before the end of the lease, and looked once more; then fed almost a timeout later, and killed another one later.
    { heldUpMs: 0, untilNextMs: 0, isKilled: false },
    { heldUpMs: 9_990, untilNextMs: 9_990, isKilled: false },
    { heldUpMs: 0, untilNextMs: 0, isKilled: true },
  ];
  const atMs = resetAtMs(worst);
  expect(atMs).toBeGreaterThan(LEASE_MS + 2.9 * TIMEOUT_MS);
  expect(atMs).toBeLessThan(totalMs(terms ?? { leaseMs: 0, watchdogTimeoutMs: 0, marginMs: 0 }));
});
