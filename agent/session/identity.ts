import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../kit/atomic-file.ts';

const fleetFile = z.object({
  fleet: z.uuid(),
  hostName: z.string(),
  controller: z.string(),
  epoch: z.number().int(),
  joinedWith: z.string().optional(),
});

/** Who this host is in its fleet. Everything is PEM; the key never leaves the folder. */
export interface Identity {
  readonly fleet: string;
  readonly hostName: string;
  /** `host:port` of the controller's port for agents. */
  readonly controller: string;
  /** Newest epoch obeyed. */
  readonly epoch: number;
  /** SHA-256 of the token that it was got with, hex: the same token is not tried again. */
  readonly joinedWith?: string | undefined;
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
}

/** The identity's folder: files of mode 0600. `fleet.json` is written last, so an identity is there whole or not at all. */
export class IdentityFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(): Promise<Identity | null> {
    try {
      const text = (name: string) => readFile(join(this.#folder, name), 'utf8');
      const [fleet, key, certificate, ca] = await Promise.all([
        text('fleet.json'),
        text('host.key'),
        text('host.crt'),
        text('ca.crt'),
      ]);
      return { ...fleetFile.parse(JSON.parse(fleet)), key, certificate, ca };
    } catch {
      return null;
    }
  }

  async write(identity: Identity): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await chmod(this.#folder, 0o700);
    const { key, certificate, ca, ...fleet } = identity;
    await writeFileAtomic(join(this.#folder, 'host.key'), key, 0o600);
    await writeFileAtomic(join(this.#folder, 'host.crt'), certificate, 0o600);
    await writeFileAtomic(join(this.#folder, 'ca.crt'), ca, 0o600);
    await writeFileAtomic(join(this.#folder, 'fleet.json'), `${JSON.stringify(fleet)}\n`, 0o600);
  }
}
