import type { Clock } from '../kit/clock.ts';
import type { Endpoint } from '../protocol/index.ts';

/** Failures in a row that make a ready instance unready. */
const FAILURES_UNTIL_UNREADY = 3;
const DEFAULT_INTERVAL_MS = 1_000;

/**
 * Probes every endpoint that has a probe, each at its own interval, until the signal.
 * @param attempt one try; null: it passed, else why not. It never throws.
 * @param tell after each try: whether all of them pass as far as is known, and why the one that was tried does not.
 * @returns resolves, always, when the signal has aborted and nothing is under way any more. Nobody has to wait for it.
 */
export async function keepProbing(
  endpoints: readonly Endpoint[],
  attempt: (endpoint: Endpoint) => Promise<string | null>,
  tell: (isReady: boolean, why: string | null) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const failing = new Set<string>();
  const keep = async (endpoint: Endpoint) => {
    let failures = 0;
    while (!signal.aborted) {
      await clock.sleep(endpoint.probe?.intervalMs ?? DEFAULT_INTERVAL_MS, signal);
      const why = await attempt(endpoint);
      if (signal.aborted) return;
      failures = why === null ? 0 : failures + 1;
      if (why === null) failing.delete(endpoint.name);
      else if (failures >= FAILURES_UNTIL_UNREADY) failing.add(endpoint.name);
      tell(failing.size === 0, failing.has(endpoint.name) ? why : null);
    }
  };
  // Settled here and at once: a sleep that is cut short rejects while who watches still waits for something else.
  await Promise.allSettled(endpoints.filter(({ probe }) => probe).map(keep));
}
