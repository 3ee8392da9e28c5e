import { lookup } from 'node:dns/promises';
import { readdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type FenceSecret, readFenceSecret } from './secret-file.ts';

/** Options of fence-agents that name the device, by address or by name. */
const DEVICE = new Set(['ip', 'ipaddr']);

const resolve = async (name: string): Promise<readonly string[]> =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * Addresses of fence devices that the controller's own secrets name, as they were last known: neither a resolver that is away for a moment,
 * nor a secret that cannot be read now, opens anything. That a secret cannot be read is told of when its device is used.
 */
export class DeviceAddresses {
  readonly #folder: string;
  readonly #resolve: typeof resolve;
  /** Secret → the devices that it names. */
  readonly #devices = new Map<string, readonly string[]>();
  /** Name of a device → its addresses. */
  readonly #addresses = new Map<string, readonly string[]>();

  /** @param secretsFolder one file for each. @param resolving throws for a name of which nothing is known. */
  constructor(secretsFolder: string, resolving: typeof resolve = resolve) {
    this.#folder = secretsFolder;
    this.#resolve = resolving;
  }

  /** Reads and resolves them anew. @returns sorted, none twice. */
  async look(): Promise<readonly string[]> {
    const secrets = await this.#secrets();
    for (const known of [...this.#devices.keys()]) if (!secrets.includes(known)) this.#devices.delete(known);
    await Promise.all(secrets.map((secret) => this.#read(secret)));
    const names = new Set([...this.#devices.values()].flat());
    for (const known of [...this.#addresses.keys()]) if (!names.has(known)) this.#addresses.delete(known);
    const all = await Promise.all([...names].map((name) => this.#addressesOf(name)));
    return [...new Set(all.flat())].sort();
  }

  async #secrets(): Promise<readonly string[]> {
    return readdir(this.#folder).catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? [] : [...this.#devices.keys()],
    );
  }

  async #read(name: string): Promise<void> {
    const secret = await readFenceSecret(this.#folder, name).catch(() => null);
    if (secret) this.#devices.set(name, devicesOf(secret));
  }

  async #addressesOf(name: string): Promise<readonly string[]> {
    if (isIP(name) !== 0) return [name];
    const found = await this.#resolve(name).catch(() => null);
    if (found) this.#addresses.set(name, found);
    return this.#addresses.get(name) ?? [];
  }
}

/** Whatever option is an address: it is a device's, or of what is behind it. */
const devicesOf = ({ options }: FenceSecret): readonly string[] =>
  Object.entries(options).flatMap(([key, value]) => (isIP(value) !== 0 || DEVICE.has(key) ? [value] : []));
