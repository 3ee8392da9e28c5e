import { readFile } from 'node:fs/promises';
import { type Connection, ErrorCode, isLibvirtError } from '@weft/node-libvirt';
import { WeftError } from '../../kit/errors.ts';
import type { RbdVolume } from '../driver.ts';
import { composeXml } from './xml.ts';

const ASK = { timeoutMs: 15_000 };

/**
 * A secret that nobody can read back, and that libvirtd keeps in memory only: with its end it is gone. So it is given anew before
 * each start. https://libvirt.org/formatsecret.html
 */
export const composeSecretXml = ({ uuid, name }: RbdVolume['secret']): string =>
  composeXml({
    secret: {
      '@ephemeral': 'yes',
      '@private': 'yes',
      uuid,
      usage: { '@type': 'ceph', name },
    },
  });

/** The key of one user, of a keyring file. https://docs.ceph.com/en/pacific/rados/operations/user-management/#keyring-management */
export function keyOf(keyring: string, user: string): Uint8Array | null {
  let isTheirs = false;
  for (const line of keyring.split('\n')) {
    const section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1];
    if (section !== undefined) isTheirs = section === `client.${user}`;
    const key = /^\s*key\s*=\s*([A-Za-z0-9+/]+={0,2})\s*$/.exec(line)?.[1];
    if (isTheirs && key !== undefined) return Buffer.from(key, 'base64');
  }
  return null;
}

/** Hands libvirt the key that a volume needs. */
export async function keepKey(connection: Connection, { keyring, user, secret }: RbdVolume): Promise<void> {
  const key = keyOf(await readFile(keyring, 'utf8'), user);
  if (!key)
    throw new WeftError('set-up', `${keyring} has no key of client.${user}`, {
      remedy: `ceph auth get client.${user} -o ${keyring}`,
    });
  const uuid = await connection.defineSecret(composeSecretXml(secret), ASK);
  await connection.setSecretValue(uuid, key, ASK);
}

/** Removes secrets whose names begin with ours and are not among these. */
export async function removeKeys(
  connection: Connection,
  prefix: string,
  names: ReadonlySet<string>,
): Promise<void> {
  for (const { uuid, usage, usageId } of await connection.listAllSecrets(ASK)) {
    if (usage !== 'ceph' || !usageId.startsWith(prefix) || names.has(usageId)) continue;
    await connection.undefineSecret(uuid, ASK).catch((error: unknown) => {
      if (!isLibvirtError(error, ErrorCode.NO_SECRET)) throw error;
    });
  }
}
