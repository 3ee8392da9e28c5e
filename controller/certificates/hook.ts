import { access, constants, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';
import type { Due } from './due.ts';

/** An ACME server may take its time, and waits of its clients add up. */
const LIMIT_MS = 15 * 60_000;

/** Who puts what the hook has obtained. */
export const HOOK_NAME = 'the certificate hook';

/** A client's configuration, for the hook's own calls of `weft`, in the controller's folder of secrets. */
export const HOOK_CLIENT_CONFIG = 'hook-client.yaml';

/** Of what a hook writes; what a controller before this one has left there goes. */
const WORK = 'obtaining';

/** Obtains a certificate by any means. */
export interface Hook {
  /**
   * @param fingerprint of the certificate that is kept now; null: none is.
   * @returns PEM text that it has written; null: it has written none, and may have put it there by itself.
   * @throws WeftError `command-failed`, `timeout`.
   */
  obtain(due: Due, fingerprint: string | null, signal: AbortSignal): Promise<string | null>;
}

/**
 * A program of the operator's, run as it is, without a shell: `PROGRAM NAME DNS-NAME…`.
 * @param program null: there is none, and nothing is left of one that there was. @param secrets the controller's folder of secrets.
 * @throws WeftError `set-up` where it cannot be run.
 */
export async function openHook(program: string | null, secrets: string): Promise<Hook | null> {
  const workFolder = join(secrets, WORK);
  await rm(workFolder, { recursive: true, force: true });
  const clientConfig = join(secrets, HOOK_CLIENT_CONFIG);
  if (program === null) {
    await rm(clientConfig, { force: true });
    return null;
  }
  await access(program, constants.X_OK).catch(() => {
    throw new WeftError('set-up', `--certificate-hook ${program}: there is no program that can be run`, {
      remedy: 'Give its whole path, and make it executable: chmod 755 PROGRAM',
    });
  });
  return new ProgramHook(program, workFolder, clientConfig);
}

/** Names were checked where they came in, and none begins like an option. */
class ProgramHook implements Hook {
  readonly #program: string;
  readonly #workFolder: string;
  readonly #clientConfig: string;

  constructor(program: string, workFolder: string, clientConfig: string) {
    this.#program = program;
    this.#workFolder = workFolder;
    this.#clientConfig = clientConfig;
  }

  async obtain(
    { name, names }: Due,
    fingerprint: string | null,
    signal: AbortSignal,
  ): Promise<string | null> {
    await mkdir(this.#workFolder, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(this.#workFolder, `${name}-`));
    const file = join(folder, 'certificate.pem');
    try {
      await exec(this.#program, [name, ...names], {
        ...{ timeoutMs: LIMIT_MS, signal, cwd: folder },
        env: {
          WEFT_CONFIG: this.#clientConfig,
          WEFT_CERTIFICATE: name,
          WEFT_CERTIFICATE_NAMES: names.join(' '),
          WEFT_CERTIFICATE_FILE: file,
          WEFT_CERTIFICATE_FINGERPRINT: fingerprint ?? '',
        },
      });
      return (await readFile(file, 'utf8').catch(() => '')).trim() || null;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

const LONGEST_MESSAGE = 500;

/** What is told of a failure: a program's last words, and no key that may be in them. */
export function reasonOf(thrown: unknown): string {
  const { message } = WeftError.from(thrown);
  if (message.includes('PRIVATE KEY'))
    return 'the hook failed; what it says is not shown, for there is a key in it';
  return message
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
    .trim()
    .slice(0, LONGEST_MESSAGE);
}
