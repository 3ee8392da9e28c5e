import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../kit/exec.ts';
import type { SeedFiles } from './contract.ts';

const LIMIT_MS = 30_000;

/** Writes the seed as an ISO 9660 image labelled `cidata`. The file holds keys: mode 0600; libvirt gives it to QEMU's user while a domain runs. */
export async function writeSeedIso(path: string, files: SeedFiles): Promise<void> {
  const folder = await mkdtemp(join(dirname(path), 'seed-'));
  try {
    const content = join(folder, 'content');
    await Promise.all(
      [...files].map(async ([name, text]) => {
        const file = join(content, name);
        await mkdir(dirname(file), { recursive: true, mode: 0o700 });
        await writeFile(file, text, { mode: 0o600 });
      }),
    );
    const iso = join(folder, 'seed.iso');
    await exec('genisoimage', ['-quiet', '-J', '-R', '-V', 'cidata', '-o', iso, content], {
      timeoutMs: LIMIT_MS,
    });
    await chmod(iso, 0o600);
    await rename(iso, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
