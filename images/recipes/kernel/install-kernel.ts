import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../../agent/kit/errors.ts';
import { extractVmlinux } from './vmlinux.ts';

/** Writes the kernel of an unpacked tree to `output`: the plain ELF where it can be had, else the file as it is. */
export async function installKernel(root: string, output: string): Promise<void> {
  const file = (await readdir(join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-'));
  if (file === undefined)
    throw new WeftError('set-up', 'the kernel package holds no /boot/vmlinuz', {
      remedy: 'Use the kernel package linux-image-cloud-amd64 of Debian 12.',
    });
  const source = join(root, 'boot', file);
  const elf = await extractVmlinux(await readFile(source));
  if (elf === null) await copyFile(source, output);
  else await writeFile(output, elf);
}
