import { lookup } from 'node:dns/promises';
import { readdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { readFenceSecret } from './secret-file.ts';

/** Options of fence-agents that name the device, by address or by name. */
const DEVICE = new Set(['ip', 'ipaddr']);

/**
 * Addresses of fence devices that the controller's own secrets name. A secret that cannot be read is told of when its device is used.
 * @returns sorted, none twice.
 */
export async function deviceAddresses(secretsFolder: string): Promise<readonly string[]> {
  const names = await readdir(secretsFolder).catch(() => []);
  const all = await Promise.all(
    names.map(async (name) => {
      const secret = await readFenceSecret(secretsFolder, name).catch(() => null);
      const options = Object.entries(secret?.options ?? {});
      const found = await Promise.all(
        options.map(async ([key, value]) => {
          if (isIP(value) !== 0) return [value];
          if (!DEVICE.has(key)) return [];
          return (await lookup(value, { all: true }).catch(() => [])).map(({ address }) => address);
        }),
      );
      return found.flat();
    }),
  );
  return [...new Set(all.flat())].sort();
}
