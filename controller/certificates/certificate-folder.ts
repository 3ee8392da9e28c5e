import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';
import type { CertificateFiles } from './contract.ts';

const ENDING = '.pem';

/** One file each, `NAME.pem`, of mode 0600 in a folder of mode 0700 among the controller's secrets. */
export class CertificateFolder implements CertificateFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(name: string): Promise<string | null> {
    try {
      return await readFile(this.#file(name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  async write(name: string, pem: string): Promise<void> {
    const file = this.#file(name);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    await writeFileAtomic(file, pem, 0o600);
  }

  remove(name: string): Promise<void> {
    return rm(this.#file(name), { force: true });
  }

  async list(): Promise<readonly string[]> {
    const files = await readdir(this.#folder).catch(() => []);
    return files
      .filter((file) => file.endsWith(ENDING))
      .map((file) => file.slice(0, -ENDING.length))
      .filter((name) => NAME_PATTERN.test(name))
      .sort();
  }

  #file(name: string): string {
    if (NAME_PATTERN.test(name)) return join(this.#folder, `${name}${ENDING}`);
    throw new WeftError('bad-request', 'this is no name of a certificate');
  }
}
