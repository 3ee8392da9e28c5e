import type { Clock, Timer } from './clock.ts';

/**
 * Does something again and again, each time so long after the one before has ended. What goes wrong is the work's own to tell: it
 * ends nothing.
 * @param first `now`, or after the first wait.
 * @returns what ends it.
 */
export function repeat(
  clock: Clock,
  everyMs: number,
  work: () => Promise<void>,
  first: 'now' | 'later',
): () => void {
  let timer: Timer | null = null;
  let ended = false;
  const round = () => {
    void work()
      .catch(() => undefined)
      .finally(() => {
        if (!ended) timer = clock.after(everyMs, round);
      });
  };
  if (first === 'now') round();
  else timer = clock.after(everyMs, round);
  return () => {
    ended = true;
    timer?.cancel();
  };
}
