import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { WeftError } from '../../../agent/kit/errors.ts';

export interface KernelModule {
  readonly name: string;
  readonly content: Buffer;
}

const SIGNATURE_MAGIC = '~Module signature appended~\n';

/** Names that a module's `.modinfo` says it needs. */
export function dependencies(module: Buffer): readonly string[] {
  const start = module.indexOf('\0depends=');
  if (start < 0) return [];
  const end = module.indexOf(0, start + 1);
  const list = module.toString('latin1', start + 9, end);
  return list === '' ? [] : list.split(',');
}

/**
 * The module without its appended signature. Our guests do not enforce signatures (no lockdown under direct boot), and
 * checking a dozen of them costs an emulated processor a noticeable part of its boot.
 */
export function withoutSignature(module: Buffer): Buffer {
  const magicAt = module.length - SIGNATURE_MAGIC.length;
  if (module.toString('latin1', magicAt) !== SIGNATURE_MAGIC) return module;
  const signatureBytes = module.readUInt32BE(magicAt - 4);
  const end = magicAt - 12 - signatureBytes;
  return end > 0 ? module.subarray(0, end) : module;
}

/**
 * Reads the wanted modules and what they need, each after its needs. A name that this kernel has built in (or lacks)
 * is left out unless it is in `required`.
 * @throws WeftError `set-up` when a required module is missing.
 */
export async function collectModules(
  kernelFolder: string,
  wanted: readonly string[],
  required: readonly string[],
): Promise<readonly KernelModule[]> {
  const files = new Map<string, string>();
  for (const entry of await readdir(kernelFolder, { recursive: true }))
    if (entry.endsWith('.ko'))
      files.set(basename(entry, '.ko').replaceAll('-', '_'), join(kernelFolder, entry));
  const ordered = new Map<string, KernelModule>();
  const add = async (name: string): Promise<void> => {
    const key = name.replaceAll('-', '_');
    const file = files.get(key);
    if (ordered.has(key)) return;
    if (file === undefined) {
      if (required.includes(key))
        throw new WeftError('set-up', `the kernel package has no module ${key}`, {
          remedy: 'Use the kernel package linux-image-cloud-amd64 of Debian 12.',
        });
      return;
    }
    const content = await readFile(file);
    for (const needed of dependencies(content)) await add(needed);
    ordered.set(key, { name: key, content: withoutSignature(content) });
  };
  for (const name of wanted) await add(name);
  return [...ordered.values()];
}
