export interface Timer {
  cancel(): void;
}

/** Time as a dependency: reconcilers, leases and back-off run unchanged under virtual time. */
export interface Clock {
  /** Unix time in milliseconds. */
  now(): number;
  /** Runs `action` once, `delayMs` from now. */
  after(delayMs: number, action: () => void): Timer;
  /** Resolves `delayMs` from now; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Whether something was less than `spanMs` ago. The time of day may be put back, by any amount: what then seems to be still to come was long
 * ago for all that is known.
 */
export const isWithin = (spanMs: number, atMs: number, nowMs: number): boolean =>
  nowMs >= atMs && nowMs - atMs < spanMs;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, action) {
    const handle = setTimeout(action, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(handle);
        reject(signal?.reason);
      };
      const handle = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};
