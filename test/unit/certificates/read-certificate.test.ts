import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../../agent/kit/digest.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { readCertificate } from '../../../controller/certificates/read-certificate.ts';
import type { Authority } from '../../../controller/fleet/authority.ts';
import { anAuthority } from '../../support/certificates.ts';

const DAY_MS = 86_400_000;
const nowMs = Date.UTC(2026, 0, 2);

let authority: Authority;
let shop: { readonly certificate: string; readonly key: string };
let other: typeof shop;
beforeAll(async () => {
  authority = await anAuthority(nowMs);
  shop = await authority.issueServer(['shop.example.org', '*.shop.example.org'], nowMs);
  other = await authority.issueServer(['other.example.org'], nowMs);
});

const blocks = (chain: string) => chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];

describe('a certificate', () => {
  test('is read with its names, times and issuer, and made into one file that begins with it and ends with its key', () => {
    const { pem, facts } = readCertificate('shop', `${shop.certificate}\n${shop.key}`, nowMs);
    const leaf = new X509Certificate(pem);
    expect(facts).toEqual({
      names: ['shop.example.org', '*.shop.example.org'],
      issuer: 'weft fleet test',
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: nowMs + 90 * DAY_MS,
      fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
      digest: digestOf(pem),
    });
    expect(blocks(pem).map((block) => /-----BEGIN ([A-Z ]+)/.exec(block)?.[1])).toEqual([
      ...['CERTIFICATE', 'CERTIFICATE', 'PRIVATE KEY'],
    ]);
  });

  test('is the same file whatever stands around it, and wherever its key is', () => {
    const plain = readCertificate('shop', `${shop.certificate}\n${shop.key}`, nowMs);
    const text = `Bag Attributes\r\n${shop.key.replaceAll('\n', '\r\n')}\nsubject=x\n${shop.certificate}`;
    expect(readCertificate('shop', text, nowMs)).toEqual(plain);
  });
});

describe('is refused by name, with what to do', () => {
  const said = (text: string, atMs = nowMs) => {
    try {
      readCertificate('shop', text, atMs);
    } catch (error) {
      const { code, message, remedy } = WeftError.from(error);
      expect(code).toBe('invalid-certificate');
      expect(message).not.toContain('PRIVATE');
      return [message.replace(/^certificate shop: /, ''), remedy ?? ''];
    }
    throw new Error('it was taken');
  };

  test('what is none, or has no key', () => {
    expect(said('hello')[0]).toBe('there is no certificate in it');
    expect(said(shop.certificate)).toEqual([
      ...['there is no private key with it', 'Put it in the same file, or give it with --key FILE.'],
    ]);
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    expect(said(`${broken}\n${shop.key}`)[0]).toBe('number 1 of its certificates cannot be read');
    const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----';
    expect(said(`${shop.certificate}\n${key}`)[0]).toBe('its private key cannot be read');
    expect(said(`${shop.certificate}\n${key.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE')}`)[0]).toContain(
      'its key is encrypted',
    );
    const old =
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----';
    expect(said(`${shop.certificate}\n${old}`)[0]).toContain('its key is encrypted');
  });

  test('a key that is another one’s, and a chain in the wrong order or with a gap', () => {
    expect(said(`${shop.certificate}\n${other.key}`)[0]).toBe(
      'the key is not that of the certificate (shop.example.org)',
    );
    const [leaf = '', signer = ''] = blocks(shop.certificate);
    expect(said(`${signer}\n${leaf}\n${shop.key}`)[0]).toBe('what signs it comes before it');
    const [stranger = ''] = blocks(other.certificate);
    expect(said(`${leaf}\n${stranger}\n${shop.key}`)[0]).toBe(
      'its chain breaks: shop.example.org is not signed by other.example.org',
    );
  });

  test('one whose time is over, or has not come', () => {
    const text = `${shop.certificate}\n${shop.key}`;
    expect(said(text, nowMs + 91 * DAY_MS)[0]).toBe('it has expired on 2026-04-02 00:00:00 UTC');
    expect(said(text, nowMs - DAY_MS)[0]).toContain('it is not valid before');
  });

  test('a key that load balancers do not take', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-rsa-'));
    try {
      const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
      const args = ['-x509', '-newkey', 'rsa:1024', '-nodes', '-days', '2', '-subj', '/CN=small'];
      await exec('openssl', ['req', ...args, '-keyout', key, '-out', certificate], { timeoutMs: 60_000 });
      const text = (await readFile(certificate, 'utf8')) + (await readFile(key, 'utf8'));
      expect(said(text, Date.now())[0]).toContain('less than 2048 bits');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
