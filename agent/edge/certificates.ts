import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** `fingerprint`: it can be served, and is another one when this is. */
export type CertificateSeen = { readonly fingerprint: string } | { readonly problem: string };

const OTHERS_MAY_READ = 0o077;

/** Looks whether a certificate of this host's folder can be served: a PEM file with the certificate, what signs it, and its key. */
export async function lookAtCertificate(folder: string, name: string): Promise<CertificateSeen> {
  const path = join(folder, `${name}.pem`);
  const bad = (why: string) => ({ problem: `certificate ${name}: ${why}` });
  try {
    const { mode, mtimeMs } = await stat(path);
    if ((mode & OTHERS_MAY_READ) !== 0) return bad(`others may read ${path} (chmod 600)`);
    const text = await readFile(path, 'utf8');
    const certificate = certificateIn(text);
    if (certificate === null) return bad(`there is none in ${path}`);
    const key = keyIn(text);
    if (key === null) return bad(`there is no key without a passphrase in ${path}`);
    if (!certificate.checkPrivateKey(key)) return bad(`the key in ${path} is not that of the certificate`);
    return { fingerprint: `${certificate.fingerprint256}@${mtimeMs}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return bad(code === 'ENOENT' ? `${path} is not there` : message);
  }
}

function certificateIn(text: string): X509Certificate | null {
  try {
    return new X509Certificate(text);
  } catch {
    return null;
  }
}

function keyIn(text: string) {
  const block = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----[\s\S]+?-----END ([A-Z]+ )?PRIVATE KEY-----/.exec(text);
  try {
    return block && createPrivateKey(block[0]);
  } catch {
    return null;
  }
}
