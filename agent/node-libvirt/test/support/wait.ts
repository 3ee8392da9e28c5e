import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `look` gives something. @throws Error with `what` after the limit. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  limitMs = 20_000,
): Promise<T> {
  for (const startedMs = Date.now(); ; await sleep(10)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() - startedMs > limitMs) throw new Error(`${what}: not within ${limitMs} ms`);
  }
}

/** Settles with how a promise ended, and how long that took. */
export async function timed<T>(promise: Promise<T>): Promise<{ ms: number; value?: T; error?: unknown }> {
  const startedMs = performance.now();
  try {
    const value = await promise;
    return { ms: performance.now() - startedMs, value };
  } catch (error) {
    return { ms: performance.now() - startedMs, error };
  }
}
