import type { Clock } from '../../agent/kit/clock.ts';
import { digestOf } from '../../agent/kit/digest.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import type { CertificateFiles } from '../certificates/contract.ts';
import { readCertificate } from '../certificates/read-certificate.ts';
import { usesOf } from '../certificates/uses.ts';
import type { ApplicationRecord, CertificateRecord, KeptCertificate } from '../model/records.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';

/** Who put a certificate that was found when the controller began, without a record of it. */
const FOUND = 'found at the start';

export interface CertificateOperationsOptions {
  readonly store: Store;
  readonly files: CertificateFiles;
  readonly clock: Clock;
  /** The controller has a program that obtains certificates. */
  readonly hasHook: boolean;
}

/**
 * Certificates that the controller keeps. The file is written before the record, and goes before it: a record without its file says so, and a
 * file that a record does not have yet is taken in when the controller starts. Where the record cannot be written, the file of before is put back:
 * hosts are given only what their goal names.
 */
export class CertificateOperations {
  readonly hasHook: boolean;
  readonly #store: Store;
  readonly #files: CertificateFiles;
  readonly #clock: Clock;
  /** One at a time for each name: file and record go together. */
  readonly #runner = new ExclusiveRunner();

  constructor({ store, files, clock, hasHook }: CertificateOperationsOptions) {
    this.hasHook = hasHook;
    this.#store = store;
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Keeps a certificate, in place of one of the same name.
   * @param text PEM of certificate, what signs it, and key. @param by who puts it there.
   * @throws WeftError `invalid-certificate`.
   */
  async put(name: string, text: string, by: string): Promise<KeptCertificate> {
    const nowMs = this.#clock.now();
    const { pem, facts } = readCertificate(name, text, nowMs);
    return this.#runner.run(name, async () => {
      const before = await this.#files.read(name);
      await this.#files.write(name, pem);
      try {
        return await this.#note(name, { ...facts, putAtMs: nowMs, by });
      } catch (error) {
        await this.#putBack(name, pem, before);
        throw error;
      }
    });
  }

  /** Has the hook obtain another one now. @throws WeftError `conflict` where it obtains none of this name. */
  async renew(name: string): Promise<void> {
    const { entries } = await this.#store.list('apps/');
    const use = usesOf(entries.map((entry) => entry.value as ApplicationRecord)).get(name);
    if (!this.hasHook || !use || use.names.length === 0)
      throw new WeftError(
        'conflict',
        this.hasHook
          ? `no endpoint says for which names certificate ${name} is to be, so the hook does not obtain it`
          : `weft-controller has no --certificate-hook, so nobody obtains certificate ${name}`,
        { remedy: `Put it there: weft certificate put ${name} --file FILE` },
      );
    await this.#change(name, (record) => ({ ...record, askedAtMs: this.#clock.now() }));
  }

  /** @throws WeftError `not-found`; `conflict` while an endpoint names it, unless `force`. */
  remove(name: string, { force = false } = {}): Promise<void> {
    return this.#runner.run(name, async () => {
      const { value } = await read<CertificateRecord>(this.#store, keyOf(name));
      if (!value)
        throw new WeftError('not-found', `the controller keeps no certificate ${name}`, {
          remedy: 'See: weft certificate ls',
        });
      const { entries } = await this.#store.list('apps/');
      const use = usesOf(entries.map((entry) => entry.value as ApplicationRecord)).get(name);
      if (use && !force)
        throw new WeftError('conflict', `certificate ${name} is used by ${use.endpoints.join(', ')}`, {
          remedy:
            'Remove it from the endpoints first, or say --force: they are not served then, unless edge hosts have one of their own.',
        });
      await this.#files.remove(name);
      await this.#store.transact({ deletes: [keyOf(name)] });
    });
  }

  /** Takes in what a controller before this one has written, and not noted any more; or what is left after the loss of the store. */
  async recover(): Promise<readonly string[]> {
    const taken: string[] = [];
    for (const name of await this.#files.list()) {
      const pem = (await this.#files.read(name)) ?? '';
      const { value } = await read<CertificateRecord>(this.#store, keyOf(name));
      if (value?.kept?.digest === digestOf(pem)) continue;
      const nowMs = this.#clock.now();
      try {
        const { facts } = readCertificate(name, pem, nowMs);
        await this.#note(name, { ...facts, putAtMs: nowMs, by: FOUND });
        taken.push(name);
      } catch (error) {
        if (WeftError.from(error).code !== 'invalid-certificate') throw error;
      }
    }
    return taken;
  }

  /** A store that has refused may have written all the same: then the file is the right one. Best effort: what fails here is mended at the next start. */
  async #putBack(name: string, pem: string, before: string | null): Promise<void> {
    const record = await read<CertificateRecord>(this.#store, keyOf(name)).catch(() => null);
    if (record?.value?.kept?.digest === digestOf(pem)) return;
    const writing = before === null ? this.#files.remove(name) : this.#files.write(name, before);
    await writing.catch(() => undefined);
  }

  async #note(name: string, kept: KeptCertificate): Promise<KeptCertificate> {
    await this.#change(name, (record) => ({ ...record, kept }));
    return kept;
  }

  #change(name: string, to: (record: CertificateRecord) => CertificateRecord): Promise<void> {
    return change(this.#store, async () => {
      const { value, check } = await read<CertificateRecord>(this.#store, keyOf(name));
      const next = to(value ?? { name, kept: null });
      return { answer: undefined, transaction: { checks: [check], puts: [{ key: check.key, value: next }] } };
    });
  }
}

const keyOf = (name: string) => `certificates/${name}`;
