import type { Logger } from '../kit/log.ts';
import type { Goal } from '../protocol/index.ts';

export interface HostRebootOptions {
  /** Of the boot that runs. */
  readonly bootId: string;
  readonly run: () => Promise<unknown>;
  readonly log: Logger;
}

/**
 * Boots this host anew when the goal names the boot that runs, and no VM. Once in the life of an agent: what did not work is told in
 * its log, and its operator sees the host stay. After the boot, the goal names another boot than the one that runs.
 */
export class HostReboot {
  readonly #options: HostRebootOptions;
  #begun = false;

  constructor(options: HostRebootOptions) {
    this.#options = options;
  }

  follow({ reboot, vms }: Pick<Goal, 'reboot' | 'vms'>): void {
    const { bootId, run, log } = this.#options;
    if (reboot !== bootId || vms.length > 0 || this.#begun) return;
    this.#begun = true;
    log.warn({ bootId }, 'this host is booted anew, as its operator asked');
    run().catch((error: unknown) => log.error({ err: error }, 'this host could not be booted anew'));
  }
}
