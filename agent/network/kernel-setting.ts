import { readFile, writeFile } from 'node:fs/promises';

/** A setting below /proc/sys. Null: this kernel, or this device, has none. */
export const readSetting = (file: string): Promise<string | null> =>
  readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );

/** Written only where it is another: each write of some settings has effects of its own. */
export async function ensureSetting(file: string, value: string): Promise<void> {
  if ((await readSetting(file)) !== value) await writeFile(file, value);
}
