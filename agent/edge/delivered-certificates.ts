import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { digestOf } from '../kit/digest.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import { Passes } from '../kit/passes.ts';
import { isSameDocument } from '../kit/same-document.ts';
import type { WantedCertificate } from '../protocol/index.ts';

const AGAIN: BackOff = { firstMs: 1_000, maximumMs: 60_000, factor: 2 };
const FETCH_LIMIT_MS = 30_000;

/** @returns PEM of certificate, what signs it, and key. */
export type CertificateFetch = (name: string, digest: string, signal: AbortSignal) => Promise<string>;

export interface DeliveredCertificatesOptions {
  /** Ours alone. */
  readonly folder: string;
  readonly fetch: CertificateFetch;
  readonly clock: Clock;
  readonly log: Logger;
  /** One has come, or it is known why one has not. */
  readonly onChange: () => void;
}

/**
 * Certificates that the controller keeps, in files of this host. Which one a file is, is found out by its digest; a fetch waits beside whoever
 * serves, and what was there before is served meanwhile.
 */
export class DeliveredCertificates {
  readonly #options: DeliveredCertificatesOptions;
  readonly #passes: Passes;
  /** Writes and removals, one at a time: a file that is being written is no remnant. */
  readonly #runner = new ExclusiveRunner();
  readonly #problems = new Map<string, string>();
  readonly #ending = new AbortController();
  #wanted: readonly WantedCertificate[] = [];
  /** Nothing is in the folder that is not wanted. */
  #isTidy = false;
  #failures = 0;
  #timer: Timer | null = null;

  constructor(options: DeliveredCertificatesOptions) {
    this.#options = options;
    this.#passes = new Passes(
      () => this.#pass(),
      () => this.#ending.signal.aborted,
    );
  }

  follow(wanted: readonly WantedCertificate[]): void {
    if (isSameDocument(this.#wanted, wanted) && this.#failures === 0) return;
    this.#wanted = wanted;
    this.#isTidy = false;
    this.#failures = 0;
    this.#passes.wake();
  }

  /** Why the wanted one has not come; null: it has, or nothing is known against it yet. */
  problemOf(name: string): string | null {
    return this.#problems.get(name) ?? null;
  }

  /** Removes those that are not wanted any more. To be called when none of them is served. */
  async tidy(): Promise<void> {
    if (this.#isTidy) return;
    await this.#runner.run('files', async () => {
      const wanted = new Set(this.#wanted.map(({ name }) => `${name}.pem`));
      const files = await readdir(this.#options.folder).catch(() => []);
      for (const file of files)
        if (!wanted.has(file)) await rm(join(this.#options.folder, file), { force: true });
      // Unless others have come to be wanted meanwhile.
      this.#isTidy =
        this.#wanted.length === wanted.size && this.#wanted.every(({ name }) => wanted.has(`${name}.pem`));
    });
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#ending.abort(new Error('the agent stops'));
    await this.#passes.running;
  }

  async #pass(): Promise<void> {
    this.#timer?.cancel();
    let hasNews = false;
    let hasFailed = false;
    for (const each of this.#wanted) {
      const before = this.problemOf(each.name);
      try {
        hasNews = (await this.#bring(each)) || hasNews;
        this.#problems.delete(each.name);
      } catch (error) {
        hasFailed = true;
        const { message } = WeftError.from(error);
        this.#problems.set(each.name, message);
        if (before !== message)
          this.#options.log.warn(
            { err: error, certificate: each.name },
            'a certificate could not be fetched',
          );
      }
      hasNews ||= before !== this.problemOf(each.name);
    }
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    if (hasFailed && !this.#ending.signal.aborted)
      this.#timer = this.#options.clock.after(backOffMs(AGAIN, this.#failures), () => this.#passes.wake());
    if (hasNews) this.#options.onChange();
  }

  /** @returns false: it was there. */
  async #bring(wanted: WantedCertificate): Promise<boolean> {
    const { name, digest } = wanted;
    const file = join(this.#options.folder, `${name}.pem`);
    if (digestOf(await readFile(file).catch(() => '')) === digest) return false;
    const limit = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(FETCH_LIMIT_MS)]);
    const pem = await this.#options.fetch(name, digest, limit);
    if (digestOf(pem) !== digest)
      throw new WeftError('digest-mismatch', 'what came is not the certificate that is wanted');
    return this.#runner.run('files', async () => {
      // Nobody may come to remove it.
      if (!this.#wanted.some((each) => isSameDocument(each, wanted))) return false;
      // A write that comes to nothing may leave something.
      this.#isTidy = false;
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(file, pem, 0o600);
      return true;
    });
  }
}
