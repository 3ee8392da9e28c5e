import { access, rm } from 'node:fs/promises';
import type { BackupDriver } from '../hypervisor/backup-driver.ts';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';

const THAW_AGAIN: BackOff = { firstMs: 2_000, maximumMs: 30_000, factor: 2 };

export interface FrozenGuestsOptions {
  readonly driver: Pick<BackupDriver, 'freeze' | 'thaw'>;
  /** File in the VM's folder that says that it may be frozen. */
  readonly note: (vmId: string) => string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Freezes guests, and forgets none that may be frozen: before one is asked to freeze that is written down, and it is struck out when
 * it was thawed. A guest that cannot be thawed, as while libvirtd is away, is thawed when that is possible; one whose agent of ours was
 * killed in between, when that starts again.
 */
export class FrozenGuests {
  readonly #options: FrozenGuestsOptions;
  /** A thaw that comes late is never one of the next freeze. */
  readonly #runner = new ExclusiveRunner();
  readonly #retries = new Map<string, Timer>();
  #isClosed = false;

  constructor(options: FrozenGuestsOptions) {
    this.#options = options;
  }

  /** @returns null when its file systems are frozen; else why not. To be thawed in any case. */
  freeze(vmId: string, domain: string): Promise<string | null> {
    this.#retries.get(vmId)?.cancel();
    this.#retries.delete(vmId);
    return this.#runner.run(vmId, async () => {
      const { driver, note } = this.#options;
      // One that is frozen takes no word but that it is to thaw.
      const isOwed = await this.mayBeFrozen(vmId);
      if (isOwed) await driver.thaw(domain).catch(() => undefined);
      else await writeFileAtomic(note(vmId), '');
      const answer = await driver.freeze(domain);
      if (answer.state === 'frozen') return null;
      if (answer.state === 'not-asked' && !isOwed) await rm(note(vmId), { force: true });
      return answer.reason;
    });
  }

  mayBeFrozen(vmId: string): Promise<boolean> {
    return access(this.#options.note(vmId)).then(
      () => true,
      () => false,
    );
  }

  /** Does nothing to one that was never asked to freeze. What cannot be thawed now stays written down, and is tried again. */
  thaw(vmId: string, domain: string): Promise<void> {
    return this.#thaw(vmId, domain, 1);
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#retries.values()) timer.cancel();
    this.#retries.clear();
  }

  async #thaw(vmId: string, domain: string, tries: number): Promise<void> {
    const error = await this.#runner.run(vmId, () => this.#thawOnce(vmId, domain));
    if (error === null || this.#isClosed) return;
    const { clock, log } = this.#options;
    if (tries === 1)
      log.warn({ err: error, vm: vmId }, 'a guest may still be frozen; it is thawed when that is possible');
    this.#retries.get(vmId)?.cancel();
    this.#retries.set(
      vmId,
      clock.after(backOffMs(THAW_AGAIN, tries), () => {
        this.#retries.delete(vmId);
        void this.#thaw(vmId, domain, tries + 1);
      }),
    );
  }

  async #thawOnce(vmId: string, domain: string): Promise<WeftError | null> {
    const { driver, note } = this.#options;
    if (!(await this.mayBeFrozen(vmId))) return null;
    try {
      await driver.thaw(domain);
    } catch (thrown) {
      const error = WeftError.from(thrown);
      // That it is frozen ends with its domain.
      if (error.code !== 'not-found') return error;
    }
    await rm(note(vmId), { force: true });
    return null;
  }
}
