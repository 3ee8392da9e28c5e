import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import type { Logger } from '../kit/log.ts';
import type { Deletions } from './revoked-connections.ts';

const LIMIT_MS = 30_000;
/** Of `conntrack --delete`: there was nothing to delete. */
const NOTHING = 1;

/** The kernel's table of connections, by Debian's program `conntrack`. Without it connections live on until they end, and that is said once. */
export class KernelConnections {
  readonly #log: Pick<Logger, 'warn'>;
  #isSaid = false;
  /** One after the other, in their order: nobody waits for them. */
  #last: Promise<void> = Promise.resolve();

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  forget(deletions: Deletions): Promise<void> {
    for (const args of deletions) this.#last = this.#last.then(() => this.#delete(args));
    return this.#last;
  }

  async #delete(args: readonly string[]): Promise<void> {
    try {
      await exec('conntrack', ['--delete', ...args], { timeoutMs: LIMIT_MS, okExitCodes: [0, NOTHING] });
    } catch (error) {
      if (this.#isSaid) return;
      this.#isSaid = true;
      this.#log.warn(
        { err: WeftError.from(error) },
        'connections of what is not let through any more live on until they end; is the package conntrack installed?',
      );
    }
  }
}
