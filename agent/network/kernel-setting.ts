import { readFile, writeFile } from 'node:fs/promises';

/** A setting below /proc/sys. Null: this kernel, or this device, has none. */
export const readSetting = (file: string): Promise<string | null> =>
  readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );

/** Whether this kernel has IPv6 at all; devices may have it turned off. */
export const hasIp6 = async (): Promise<boolean> =>
  (await readSetting('/proc/sys/net/ipv6/conf/all/disable_ipv6')) !== null;

/** Written only where it is another: each write of some settings has effects of its own. */
export async function ensureSetting(file: string, value: string): Promise<void> {
  if ((await readSetting(file)) !== value) await writeFile(file, value);
}
