import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { digestOf } from '../../agent/kit/digest.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { isDnsName } from '../model/dns-names.ts';
import type { KeptCertificate } from '../model/records.ts';

/** What signs it, with it: chains have two or three. */
const MAXIMUM_CHAIN = 10;
const LEAST_RSA_BITS = 2_048;
const ISSUER_CHARACTERS = 120;

export interface ReadCertificate {
  /** The certificate, what signs it, and its key: as a load balancer reads it. */
  readonly pem: string;
  readonly facts: Omit<KeptCertificate, 'putAtMs' | 'by'>;
}

/**
 * A certificate and its key, from PEM text as people and ACME clients have it, made into the one file that load balancers read. What
 * else is in the text is left out.
 * @param text the certificate, what signs it, and its key, in this order or with the key first. @param name what it is kept under.
 * @throws WeftError `invalid-certificate`, with what is wrong and what to do.
 */
export function readCertificate(name: string, text: string, nowMs: number): ReadCertificate {
  const chain = chainIn(name, text);
  const [leaf] = chain;
  if (!leaf)
    throw refusal(
      name,
      'there is no certificate in it',
      'Give PEM text: it begins with -----BEGIN CERTIFICATE-----.',
    );
  const key = keyIn(name, text);
  if (!leaf.checkPrivateKey(key)) throw wrongKey(name, chain, key);
  if (key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS)
    throw refusal(
      name,
      `its RSA key has less than ${LEAST_RSA_BITS} bits, which no load balancer takes`,
      'Get one with a new key.',
    );
  checkChain(name, chain);
  const facts = { ...factsOf(leaf), digest: '' };
  checkTimes(name, facts, nowMs);
  const pem = `${[...chain.map(String), String(key.export({ type: 'pkcs8', format: 'pem' }))].map((each) => each.trim()).join('\n')}\n`;
  return { pem, facts: { ...facts, digest: digestOf(pem) } };
}

function chainIn(name: string, text: string): readonly X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length > MAXIMUM_CHAIN)
    throw refusal(name, `there are ${blocks.length} certificates in it`, 'Give the one, with what signs it.');
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw refusal(
        name,
        `number ${index + 1} of its certificates cannot be read`,
        'Copy it again from its source.',
      );
    }
  });
}

function keyIn(name: string, text: string): KeyObject {
  const block = /-----BEGIN ((?:[A-Z]+ )*)PRIVATE KEY-----[\s\S]+?-----END \1PRIVATE KEY-----/.exec(text);
  if (!block)
    throw refusal(
      name,
      'there is no private key with it',
      'Put it in the same file, or give it with --key FILE.',
    );
  if (block[1]?.includes('ENCRYPTED') || block[0].includes('ENCRYPTED'))
    throw refusal(
      name,
      'its key is encrypted, and load balancers know no passphrase',
      'Decrypt it first: openssl pkey -in KEY.pem -out PLAIN.pem',
    );
  try {
    return createPrivateKey(block[0]);
  } catch {
    throw refusal(name, 'its private key cannot be read', 'Copy it again from its source.');
  }
}

/** The key's own certificate may be there, only not first. */
function wrongKey(name: string, chain: readonly X509Certificate[], key: KeyObject): WeftError {
  const isLater = chain.some((each) => each.checkPrivateKey(key));
  if (isLater)
    return refusal(
      name,
      'what signs it comes before it',
      'Put the certificate itself first, what signs it behind it.',
    );
  return refusal(
    name,
    `the key is not that of the certificate (${subjectOf(chain[0])})`,
    'Give the key that the certificate was requested with.',
  );
}

function checkChain(name: string, chain: readonly X509Certificate[]): void {
  for (const [index, signer] of chain.slice(1).entries()) {
    const signed = chain[index];
    if (signed?.checkIssued(signer) && signed.verify(signer.publicKey)) continue;
    throw refusal(
      name,
      `its chain breaks: ${subjectOf(signed)} is not signed by ${subjectOf(signer)}`,
      'Give the certificate first, and behind each one the one that signs it (often called fullchain.pem).',
    );
  }
}

function checkTimes(
  name: string,
  { notBeforeMs, notAfterMs }: Pick<KeptCertificate, 'notBeforeMs' | 'notAfterMs'>,
  nowMs: number,
): void {
  if (notAfterMs <= nowMs)
    throw refusal(name, `it has expired on ${timeText(notAfterMs)}`, 'Renew it, and put the new one.');
  if (notBeforeMs > nowMs)
    throw refusal(
      name,
      `it is not valid before ${timeText(notBeforeMs)}`,
      'Put it then, or set this machine’s clock right.',
    );
}

function factsOf(leaf: X509Certificate): Omit<ReadCertificate['facts'], 'digest'> {
  const names = (leaf.subjectAltName ?? '').split(', ').flatMap((each) => {
    const dns = /^DNS:(.*)$/.exec(each)?.[1]?.toLowerCase() ?? '';
    return isDnsName(dns) ? [dns] : [];
  });
  return {
    names: [...new Set(names)],
    issuer: plain(nameIn(leaf.issuer)),
    notBeforeMs: Date.parse(leaf.validFrom),
    notAfterMs: Date.parse(leaf.validTo),
    fingerprint: createHash('sha256').update(leaf.raw).digest('hex'),
  };
}

const subjectOf = (certificate: X509Certificate | undefined): string =>
  plain(nameIn(certificate?.subject ?? '')) || 'one without a name';

/** The common name of a distinguished name, or all of it. */
const nameIn = (text: string): string => /^CN=(.*)$/m.exec(text)?.[1] ?? text.split('\n').join(', ');

/** It is somebody else's text. */
const plain = (text: string): string =>
  text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, ' ').slice(0, ISSUER_CHARACTERS);

const timeText = (timeMs: number): string =>
  `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

const refusal = (name: string, why: string, remedy: string): WeftError =>
  new WeftError('invalid-certificate', `certificate ${name}: ${why}`, { remedy });
