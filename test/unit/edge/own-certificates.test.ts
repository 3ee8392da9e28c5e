import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { certificatesOf, editionOf } from '../../../agent/edge/certificates.ts';
import { OwnCertificates } from '../../../agent/edge/own-certificates.ts';
import { anAuthority } from '../../support/certificates.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-own-certificates-'));
  await mkdir(join(folder, 'own'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = () => join(folder, 'own', 'shop.pem');
const copy = () => join(folder, 'copies', 'shop.pem');
const certificates = () => new OwnCertificates(join(folder, 'own'), join(folder, 'copies'));
async function aCertificate(): Promise<string> {
  const { certificate, key } = await (await anAuthority()).issueServer(['shop.example.org'], Date.now());
  return `${certificate}\n${key}`;
}

test('one that is renewed badly is served on as it was, which is told, until the next good one', async () => {
  const own = certificates();
  const [first, second] = [await aCertificate(), await aCertificate()];
  await writeFile(file(), first, { mode: 0o600 });
  const good = await own.find('shop', 0);
  expect(good).toMatchObject({ file: copy() });
  expect('warning' in good).toBe(false);
  expect((await stat(copy())).mode & 0o777).toBe(0o600);
  await chmod(file(), 0o644);
  // Also of an agent that was started anew.
  for (const each of [own, certificates()]) {
    const bad = await each.find('shop', 10_000_000);
    expect(bad).toMatchObject({
      file: copy(),
      warning: `certificate shop: others may read ${file()} (chmod 600); the one before is served`,
    });
    expect(editionOf(new Map([['shop', bad]]))).toBe(editionOf(new Map([['shop', good]])));
    expect(certificatesOf([{ certificate: 'shop' }], new Map([['shop', bad]]))[0]?.problem).toMatch(
      /^certificate shop: others may read/,
    );
  }
  await writeFile(file(), 'half of', { mode: 0o600 });
  expect(await own.find('shop', 0)).toMatchObject({ file: copy() });
  await rm(file());
  await writeFile(file(), second, { mode: 0o600 });
  expect('warning' in (await own.find('shop', 0))).toBe(false);
  expect(await readFile(copy(), 'utf8')).toBe(second);
});

test('its copy goes when the file has not been there for a minute, and when nothing names it', async () => {
  const own = certificates();
  await writeFile(file(), await aCertificate(), { mode: 0o600 });
  await own.find('shop', 0);
  const text = await readFile(file());
  await rm(file());
  expect(await own.find('shop', 1_000)).toMatchObject({ file: copy() });
  expect(await own.find('shop', 60_999)).toMatchObject({ file: copy() });
  expect(await own.find('shop', 61_000)).toMatchObject({ isMissing: true });
  expect(await readdir(join(folder, 'copies'))).toEqual([]);
  await writeFile(file(), text, { mode: 0o600 });
  await own.find('shop', 70_000);
  await own.keepOnly(['shop']);
  expect(await readdir(join(folder, 'copies'))).toEqual(['shop.pem']);
  await own.keepOnly([]);
  expect(await readdir(join(folder, 'copies'))).toEqual([]);
});

test('one that was never good has no copy', async () => {
  await writeFile(file(), 'nothing', { mode: 0o600 });
  expect(await certificates().find('shop', 0)).toEqual({
    problem: `certificate shop: there is none in ${file()}`,
  });
});
