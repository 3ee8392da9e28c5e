import { access, rm } from 'node:fs/promises';
import type { BackupDriver } from '../hypervisor/backup-driver.ts';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Logger } from '../kit/log.ts';

/**
 * Freezes guests, and forgets none that may be frozen: before one is asked to freeze that is written down, and it is struck out when
 * it was thawed. An agent that was killed in between thaws it when it starts again.
 */
export class FrozenGuests {
  readonly #driver: BackupDriver;
  readonly #note: (vmId: string) => string;
  readonly #log: Logger;

  /** @param note file in the VM's folder that says that it may be frozen. */
  constructor(driver: BackupDriver, note: (vmId: string) => string, log: Logger) {
    this.#driver = driver;
    this.#note = note;
    this.#log = log;
  }

  /** @returns null when its file systems are frozen; else why not. To be thawed in any case. */
  async freeze(vmId: string, domain: string): Promise<string | null> {
    await writeFileAtomic(this.#note(vmId), '');
    return this.#driver.freeze(domain);
  }

  mayBeFrozen(vmId: string): Promise<boolean> {
    return access(this.#note(vmId)).then(
      () => true,
      () => false,
    );
  }

  /** What cannot be thawed now stays written down. */
  async thaw(vmId: string, domain: string): Promise<void> {
    try {
      await this.#driver.thaw(domain);
      await rm(this.#note(vmId), { force: true });
    } catch (error) {
      this.#log.warn(
        { err: error, vm: vmId },
        'a guest may still be frozen; it is thawed when that is possible',
      );
    }
  }
}
