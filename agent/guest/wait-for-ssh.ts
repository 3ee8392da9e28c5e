import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { SshSession, type SshTarget } from './ssh-session.ts';

/** Between tries while the guest refuses: a refusal costs next to nothing. */
const PAUSE_MS = 60;
/** A try that hears nothing waits in the kernel's SYN back-off, while another one may get through. */
const TRY_LIMIT_MS = 20_000;
const NEW_TRY_AFTER_MS = 400;
const TRIES_AT_ONCE = 3;

export interface WaitForSshOptions {
  readonly target: SshTarget;
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Tells a function that makes a try at once. */
  readonly onHint?: (hint: () => void) => void;
}

/**
 * Tries until the guest answers. Tries overlap: one that was lost in a booting network never holds up the next.
 * @throws WeftError `guest-unreachable` after the limit, `forbidden` for a foreign host key, or the signal's reason.
 */
export function waitForSsh(options: WaitForSshOptions): Promise<SshSession> {
  const { target, clock, limitMs, signal } = options;
  return new Promise((resolve, reject) => {
    const untilMs = clock.now() + limitMs;
    let over = false;
    let running = 0;
    let timer = clock.after(0, () => attempt());
    let why = 'it never answered';
    const finish = (act: () => void) => {
      if (over) return;
      over = true;
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    const schedule = (delayMs: number) => {
      timer.cancel();
      timer = clock.after(delayMs, () => attempt());
    };
    const attempt = () => {
      if (over) return;
      if (clock.now() > untilMs) {
        finish(() =>
          reject(
            new WeftError(
              'guest-unreachable',
              `${target.host} did not answer by SSH within ${limitMs / 1000} s: ${why}`,
              {
                remedy: 'Look at its console: weft console ID.',
              },
            ),
          ),
        );
        return;
      }
      schedule(NEW_TRY_AFTER_MS);
      if (running >= TRIES_AT_ONCE) return;
      running++;
      SshSession.open(target, TRY_LIMIT_MS)
        .then((session) => {
          if (over) session.end();
          else finish(() => resolve(session));
        })
        .catch((error: WeftError) => {
          if (error.code === 'forbidden') finish(() => reject(error));
          why = error.message;
          if (!over) schedule(PAUSE_MS);
        })
        .finally(() => {
          running--;
        });
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    options.onHint?.(() => schedule(0));
  });
}
