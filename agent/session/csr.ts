import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { cryptoProvider, PemConverter, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

export interface KeyAndRequest {
  /** PKCS#8, PEM. */
  readonly key: string;
  /** PKCS#10, PEM. */
  readonly csr: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A new key of this host, and the request to have it certified under this name. */
export async function makeCertificateRequest(hostName: string): Promise<KeyAndRequest> {
  // The types of Node's Web Crypto and of the DOM's differ in name only.
  const crypto = webcrypto as unknown as Parameters<typeof cryptoProvider.set>[0];
  cryptoProvider.set(crypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${hostName}`,
    keys: keys as unknown as { privateKey: never; publicKey: never },
    signingAlgorithm: ALGORITHM,
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: PemConverter.encode(pkcs8, 'PRIVATE KEY'), csr: request.toString('pem') };
}
