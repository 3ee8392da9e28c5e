import 'reflect-metadata';
import { createHash, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { BACKDATE_MS } from '../model/host-certificates.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 90;

type Keys = webcrypto.CryptoKeyPair;
type Generator = Parameters<typeof X509CertificateGenerator.create>[0];

interface Signer {
  readonly certificate: string;
  readonly key: webcrypto.CryptoKey;
}

/** The fleet's certificate authority. Its key is in a file of mode 0600 and leaves it never. All certificates are PEM. */
export class Authority {
  readonly ca: string;
  /** SHA-256 of the CA certificate's DER, hex: what a join token carries. */
  readonly fingerprint: string;
  readonly #signer: Signer;

  /** Reads the authority from `folder`, or makes it there. */
  static async open(folder: string, fleet: string, nowMs: number): Promise<Authority> {
    cryptoProvider.set(webcrypto as unknown as Parameters<typeof cryptoProvider.set>[0]);
    const certificateFile = join(folder, 'ca.crt');
    const keyFile = join(folder, 'ca.key');
    const known = await readFile(certificateFile, 'utf8').catch(() => null);
    if (known !== null)
      return new Authority({ certificate: known, key: await importKey(await readFile(keyFile, 'utf8')) });
    const keys = await makeKeys();
    const certificate = await sign({
      subject: `CN=weft fleet ${fleet}`,
      issuer: `CN=weft fleet ${fleet}`,
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      nowMs,
      days: CA_DAYS,
      extensions: [
        new BasicConstraintsExtension(true, 1, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    // The certificate last: it is what says that the authority is whole.
    await writeFileAtomic(keyFile, await exportKey(keys.privateKey), 0o600);
    await writeFileAtomic(certificateFile, certificate);
    return new Authority({ certificate, key: keys.privateKey });
  }

  private constructor(signer: Signer) {
    this.#signer = signer;
    this.ca = signer.certificate;
    this.fingerprint = fingerprintOf(signer.certificate);
  }

  /** A server certificate with its chain, for addresses and names. A new one each start: nothing to renew. */
  async issueServer(names: readonly string[], nowMs: number): Promise<{ key: string; certificate: string }> {
    const keys = await makeKeys();
    const leaf = await this.#leaf(`CN=${names[0] ?? 'weft'}`, keys.publicKey, nowMs, [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const), value: name })),
      ),
    ]);
    return { key: await exportKey(keys.privateKey), certificate: `${leaf}\n${this.ca}` };
  }

  /** A client certificate of one host. @throws WeftError `bad-request` for a request that is none, or not signed by its own key. */
  async issueHost(csr: string, hostName: string, nowMs: number): Promise<string> {
    let request: Pkcs10CertificateRequest;
    try {
      request = new Pkcs10CertificateRequest(csr);
      if (!(await request.verify())) throw new Error('its signature is wrong');
    } catch (error) {
      throw new WeftError('bad-request', `this is no certificate request: ${(error as Error).message}`);
    }
    const publicKey = await request.publicKey.export();
    return this.#leaf(`CN=${hostName}`, publicKey as unknown as webcrypto.CryptoKey, nowMs, [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
    ]);
  }

  #leaf(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    nowMs: number,
    extensions: NonNullable<Generator['extensions']>,
  ): Promise<string> {
    return sign({
      subject,
      issuer: new X509Certificate(this.ca).subject,
      publicKey,
      signingKey: this.#signer.key,
      nowMs,
      days: LEAF_DAYS,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        ...extensions,
      ],
    });
  }
}

/** SHA-256 of a certificate's DER, hex. */
export const fingerprintOf = (certificate: string | Buffer): string =>
  createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');

async function sign(options: {
  subject: string;
  issuer: string;
  publicKey: webcrypto.CryptoKey;
  signingKey: webcrypto.CryptoKey;
  nowMs: number;
  days: number;
  extensions: NonNullable<Generator['extensions']>;
}): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    // Positive, and never the same twice.
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    subject: options.subject,
    issuer: options.issuer,
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + options.days * DAY_MS),
    publicKey: options.publicKey,
    signingKey: options.signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: options.extensions,
    // The types of Node's Web Crypto and of the DOM's differ in name only.
  } as unknown as Generator);
  return certificate.toString('pem');
}

const makeKeys = (): Promise<Keys> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<Keys>;

const exportKey = async (key: webcrypto.CryptoKey) =>
  PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');

const importKey = (pem: string) =>
  webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign']);
