import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { TunnelKey } from './tunnel-plan.ts';

/** In front of the 32 bytes of a private key of X25519 in DER (RFC 8410, section 7). */
const DER_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

/**
 * The key of this host's tunnel, made once: the file has the private one in base64, as `wg` reads it, and is for nobody else. One that is
 * no key, or is not there any more, is made anew, and told like any other.
 */
export async function openTunnelKey(file: string): Promise<TunnelKey> {
  const known = privateKeyOf(await readFile(file, 'utf8').catch(() => ''));
  if (known) return { file, publicKey: publicOf(known) };
  const { privateKey } = generateKeyPairSync('x25519');
  const bytes = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
  await writeFileAtomic(file, `${bytes.toString('base64')}\n`, 0o600);
  return { file, publicKey: publicOf(privateKey) };
}

function privateKeyOf(text: string): KeyObject | null {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== KEY_BYTES) return null;
  return createPrivateKey({ key: Buffer.concat([DER_HEAD, bytes]), format: 'der', type: 'pkcs8' });
}

const publicOf = (key: KeyObject): string =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES).toString('base64');
