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
  /** Since conntrack 1.4.7; an earlier one is run for each. */
  #takesLists = true;
  /** One after the other, in their order: nobody waits for them. */
  #last: Promise<void> = Promise.resolve();

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  forget(deletions: Deletions): Promise<void> {
    if (deletions.length > 0) this.#last = this.#last.then(() => this.#delete(deletions));
    return this.#last;
  }

  async #delete(deletions: Deletions): Promise<void> {
    if (deletions.length > 1 && this.#takesLists) {
      this.#takesLists = await deleteAll(deletions);
      if (this.#takesLists) return;
    }
    for (const args of deletions) await this.#deleteOne(args);
  }

  async #deleteOne(args: readonly string[]): Promise<void> {
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

/** By one process, which goes on after what was not there. @returns whether it could. */
async function deleteAll(deletions: Deletions): Promise<boolean> {
  const input = deletions.map((args) => `--delete ${args.join(' ')}\n`).join('');
  const options = { input, timeoutMs: LIMIT_MS, okExitCodes: [0, NOTHING] };
  return exec('conntrack', ['--load-file', '-'], options).then(
    () => true,
    () => false,
  );
}
