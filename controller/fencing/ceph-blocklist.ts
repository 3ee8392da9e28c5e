import { lstat } from 'node:fs/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';
import { addressesOf, type FenceDevice, plainAddress, STORAGE_FENCE } from '../../agent/protocol/index.ts';
import { readFenceSecret } from './secret-file.ts';

/** Storage that can be told to take nothing more from a host. The seam below which real storage is. */
export interface StorageRunner {
  /**
   * Returns when nothing that the host has sent, or sends from now on, is written any more.
   * @returns which storage, by the id that hosts know it by. @throws WeftError otherwise: one line, no secrets.
   */
  shutOut(
    device: FenceDevice,
    signal: AbortSignal,
  ): Promise<{ readonly cluster: string; readonly message: string }>;
  /** @returns whether it was shut out. @throws WeftError when it may still be. */
  letIn(device: FenceDevice, signal: AbortSignal): Promise<boolean>;
  /** `off`: it is shut out. */
  status(
    device: FenceDevice,
    signal: AbortSignal,
  ): Promise<{ readonly power: 'on' | 'off'; readonly message: string }>;
}

/** Until it is lifted. An entry that ended by itself would let a host in that still runs what lives elsewhere. Five years. */
const SECONDS = 157_680_000;
const LIMIT_MS = 30_000;
const CONNECT_S = '10';

interface Access {
  readonly conf: string;
  readonly keyring: string;
  readonly user: string;
  readonly addresses: readonly string[];
}

/** https://docs.ceph.com/en/pacific/rados/operations/control/#osd-subsystem */
export class CephBlocklist implements StorageRunner {
  readonly #secretsFolder: string;

  /** @param secretsFolder of fence secrets. */
  constructor(secretsFolder: string) {
    this.#secretsFolder = secretsFolder;
  }

  async shutOut(device: FenceDevice, signal: AbortSignal) {
    const access = await this.#access(device);
    const cluster = (await ceph(access, ['fsid'], signal)).trim();
    for (const address of access.addresses)
      await ceph(access, ['osd', 'blocklist', 'add', named(address), String(SECONDS)], signal);
    const missing = unlisted(await this.#list(access, signal), access.addresses);
    if (missing.length > 0)
      throw new WeftError('command-failed', `Ceph does not list ${missing.join(', ')} as blocklisted`);
    return { cluster, message: `${access.addresses.join(', ')} shut out of Ceph cluster ${cluster}` };
  }

  async letIn(device: FenceDevice, signal: AbortSignal): Promise<boolean> {
    const access = await this.#access(device);
    const { addresses } = access;
    const isOut = async () => unlisted(await this.#list(access, signal), addresses).length < addresses.length;
    const wasOut = await isOut();
    for (const address of addresses) await ceph(access, ['osd', 'blocklist', 'rm', named(address)], signal);
    if (await isOut())
      throw new WeftError('command-failed', `Ceph still lists one of ${addresses.join(', ')} as blocklisted`);
    return wasOut;
  }

  async status(device: FenceDevice, signal: AbortSignal) {
    const access = await this.#access(device);
    const missing = unlisted(await this.#list(access, signal), access.addresses);
    const power = missing.length === 0 ? ('off' as const) : ('on' as const);
    const which = power === 'off' ? access.addresses : missing;
    return { power, message: `${which.join(', ')} ${power === 'off' ? 'shut out of' : 'may use'} Ceph` };
  }

  #list(access: Access, signal: AbortSignal): Promise<string> {
    return ceph(access, ['osd', 'blocklist', 'ls', '--format', 'json'], signal);
  }

  /** Files of the controller's are named by its own secret, never by a host. */
  async #access(device: FenceDevice): Promise<Access> {
    const foreign = Object.keys(device.options).find((name) => name !== 'addresses');
    if (foreign !== undefined)
      throw new WeftError('not-supported', `option ${foreign} of ${STORAGE_FENCE} is not taken from a host`, {
        remedy: `Write it on the controller's machine, as a line ${foreign}=… of the device's secret.`,
      });
    if (device.secret === undefined)
      throw new WeftError('set-up', `${STORAGE_FENCE} needs a secret: it names the keyring`);
    const { options } = await readFenceSecret(this.#secretsFolder, device.secret);
    const {
      conf = '/etc/ceph/ceph.conf',
      user = 'weft-fence',
      keyring = `/etc/ceph/ceph.client.${user}.keyring`,
    } = options;
    const addresses = addressesOf({ options: { ...device.options, ...options } });
    if (!addresses)
      throw new WeftError('set-up', `${STORAGE_FENCE} needs addresses of the host, with commas between them`);
    await requirePrivate(keyring);
    return { conf, keyring, user, addresses };
  }
}

/** Those that are not on the list. Ceph writes a whole address as `10.0.0.11:0/0` or `[fd00::11]:0/0`: any port, any client. */
export function unlisted(list: string, addresses: readonly string[]): readonly string[] {
  const whole = [...list.matchAll(/"addr":\s*"([^"]+):0\/0"/g)].map(([, address = '']) =>
    plainAddress(address),
  );
  return addresses.filter((address) => !whole.includes(address));
}

/** The same whole address; of IPv6 in brackets, after which Ceph's program wants a port. */
const named = (address: string) => (address.includes(':') ? `[${address}]:0/0` : address);

/** It never outlives this controller: what it does late might undo what the next one does. */
async function ceph(
  { conf, keyring, user }: Access,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const access = ['--conf', conf, '--keyring', keyring, '--id', user, '--connect-timeout', CONNECT_S];
  try {
    const program = ['--pdeathsig', 'KILL', '--', 'ceph', ...access, ...args];
    return (await exec('setpriv', program, { signal, timeoutMs: LIMIT_MS, cwd: '/' })).stdout;
  } catch (error) {
    const { code, message } = WeftError.from(error);
    if (code === 'timeout') throw new WeftError('timeout', `Ceph did not answer within ${LIMIT_MS / 1000} s`);
    if (message.includes('failed to execute ceph'))
      throw new WeftError('set-up', "ceph is not installed on the controller's machine", {
        remedy: 'There: apt-get install ceph-common',
      });
    const last = message.trim().split('\n').at(-1) ?? '';
    throw new WeftError('command-failed', `ceph ${args.slice(0, 3).join(' ')}: ${last.slice(0, 300)}`);
  }
}

async function requirePrivate(keyring: string): Promise<void> {
  const found = await lstat(keyring).catch((error: NodeJS.ErrnoException) => {
    throw new WeftError('set-up', `keyring ${keyring} cannot be read: ${error.code ?? 'unknown error'}`, {
      remedy: `ceph auth get-or-create client.weft-fence mon 'allow r, allow command "osd blocklist"' -o ${keyring}`,
    });
  });
  if (!found.isFile() || (found.mode & 0o077) !== 0)
    throw new WeftError('set-up', `keyring ${keyring} can be read or written by others`, {
      remedy: `chmod 600 ${keyring}`,
    });
}
