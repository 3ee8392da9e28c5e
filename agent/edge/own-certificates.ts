import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { isWithin } from '../kit/clock.ts';
import { digestOf } from '../kit/digest.ts';
import { type CertificateSeen, lookAtCertificate } from './certificates.ts';

/** A renewal may take a file away before it puts the next one there. */
const GONE_AFTER_MS = 60_000;

/**
 * This host's own certificates. What is served is a copy of the last good file, so that one that is put there broken, or is not there for a
 * moment, takes no endpoint off. The copy goes when the file has not been there for a minute, or nothing names it.
 */
export class OwnCertificates {
  readonly #folder: string;
  readonly #copies: string;
  /** Name → when its file was found to be missing first. */
  readonly #missingMs = new Map<string, number>();

  /** @param folder where an operator puts them. @param copies ours alone. */
  constructor(folder: string, copies: string) {
    this.#folder = folder;
    this.#copies = copies;
  }

  async find(name: string, nowMs: number): Promise<CertificateSeen> {
    const own = await lookAtCertificate(this.#folder, name);
    if ('file' in own) {
      this.#missingMs.delete(name);
      await this.#copy(name, own);
      const copy = await lookAtCertificate(this.#copies, name);
      return 'file' in copy && copy.digest === own.digest ? copy : own;
    }
    if (own.isMissing) {
      const sinceMs = this.#missingMs.get(name) ?? nowMs;
      this.#missingMs.set(name, sinceMs);
      if (!isWithin(GONE_AFTER_MS, sinceMs, nowMs)) await this.#remove(name);
    } else this.#missingMs.delete(name);
    const copy = await lookAtCertificate(this.#copies, name);
    if (!('file' in copy)) return own;
    const why = own.isMissing
      ? `certificate ${name}: ${join(this.#folder, `${name}.pem`)} is not there any more`
      : own.problem;
    return { ...copy, warning: `${why}; the one before is served` };
  }

  /** Removes copies of all others. */
  async keepOnly(names: readonly string[]): Promise<void> {
    for (const file of await readdir(this.#copies).catch(() => []))
      if (!names.some((name) => file === `${name}.pem`)) await rm(join(this.#copies, file), { force: true });
  }

  async #copy(name: string, { file, digest }: { readonly file: string; readonly digest: string }) {
    const path = join(this.#copies, `${name}.pem`);
    if (digestOf(await readFile(path).catch(() => '')) === digest) return;
    const text = await readFile(file).catch(() => '');
    // Somebody has put another one there since it was looked at: the next look is soon.
    if (digestOf(text) !== digest) return;
    await mkdir(this.#copies, { recursive: true, mode: 0o700 });
    await writeFileAtomic(path, text, 0o600);
  }

  #remove(name: string): Promise<void> {
    return rm(join(this.#copies, `${name}.pem`), { force: true });
  }
}
