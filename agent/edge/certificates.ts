import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../kit/digest.ts';
import type { ServedCertificate } from '../protocol/index.ts';

/** `file`: it can be served from there; it is another one when `fingerprint` is. `digest` is that of the file. `warning`: why it is not the newest. */
export type CertificateSeen =
  | {
      readonly file: string;
      readonly fingerprint: string;
      readonly digest: string;
      readonly warning?: string;
    }
  | { readonly problem: string; readonly isMissing?: true };

export interface CertificatePlaces {
  /** Finds one of those that an operator has put on this host. */
  readonly own: (name: string) => Promise<CertificateSeen>;
  /** Folder of those that the controller keeps. */
  readonly delivered: string;
}

/**
 * The certificate to serve. One that the controller keeps goes before one of this host's own of the same name, which would go on after every
 * renewal; until it has come for the first time, the own one does.
 * @param isKept the controller keeps one of this name. @param late why it has not come; null: nothing is known against it.
 */
export async function findCertificate(
  { own, delivered }: CertificatePlaces,
  name: string,
  isKept: boolean,
  late: string | null,
): Promise<CertificateSeen> {
  if (!isKept) return own(name);
  const [first, second] = [await lookAtCertificate(delivered, name), await own(name)];
  if ('file' in first) return first;
  if ('file' in second) return second;
  return {
    problem: `certificate ${name}: it has not come from the controller yet${late === null ? '' : `: ${late}`}`,
  };
}

/** What of certificates makes another configuration of the load balancer. */
export const editionOf = (certificates: ReadonlyMap<string, CertificateSeen>): string =>
  [...certificates.values()]
    .map((seen) => JSON.stringify('file' in seen ? { file: seen.file, fingerprint: seen.fingerprint } : seen))
    .join();

/** Those of these endpoints, as they were found. */
export const certificatesOf = (
  endpoints: readonly { readonly certificate?: string | undefined }[],
  certificates: ReadonlyMap<string, CertificateSeen>,
): readonly ServedCertificate[] => {
  const names = [...new Set(endpoints.flatMap(({ certificate }) => certificate ?? []))].sort();
  return names.flatMap((name) => {
    const seen = certificates.get(name);
    if (!seen || !('file' in seen)) return [];
    const { digest, warning } = seen;
    return [{ name, digest, ...(warning === undefined ? {} : { problem: warning.slice(0, 1024) }) }];
  });
};

const OTHERS_MAY_READ = 0o077;

/** Looks whether a certificate of a folder can be served: a PEM file with the certificate, what signs it, and its key. */
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
    return { file: path, fingerprint: `${certificate.fingerprint256}@${mtimeMs}`, digest: digestOf(text) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const nowhere = `neither the controller nor this host has it. Put it there with: weft certificate put ${name} --file FILE`;
    return code === 'ENOENT' ? { ...bad(nowhere), isMissing: true } : bad(message);
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
