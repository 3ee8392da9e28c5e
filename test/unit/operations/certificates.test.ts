import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { ApiContext } from '../../../controller/api/context.ts';
import { createApi } from '../../../controller/api/server.ts';
import { CertificateFolder } from '../../../controller/certificates/certificate-folder.ts';
import { Tokens } from '../../../controller/fleet/tokens.ts';
import { CertificateOperations } from '../../../controller/operations/certificates.ts';
import { ChallengeOperations } from '../../../controller/operations/challenges.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { AN_INPUT, anApplication, aRole } from '../../support/builders/application.ts';
import { anAuthority } from '../../support/certificates.ts';
import { refusal } from '../../support/refusal.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
let folder: string;
let files: CertificateFolder;
let store: MemoryStore;
let operations: CertificateOperations;
let text: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-certificates-'));
  files = new CertificateFolder(join(folder, 'certificates'));
  store = new MemoryStore();
  operations = new CertificateOperations({ store, files, clock: new VirtualClock(NOW_MS), hasHook: false });
  const { certificate, key } = await (await anAuthority(NOW_MS)).issueServer(['shop.example.org'], NOW_MS);
  text = `${certificate}\n${key}`;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const declare = (certificateNames: readonly string[] = []) =>
  store.transact({
    puts: [
      {
        key: 'apps/crm',
        value: anApplication('crm', {
          roles: {
            web: aRole({
              endpoints: { https: { ...AN_INPUT, port: 443, certificate: 'shop', certificateNames } },
            }),
          },
        }),
      },
    ],
  });

test('a certificate is kept in a file that nobody else reads, and its record has nothing secret', async () => {
  const kept = await operations.put('shop', text, 'ann');
  expect(kept).toMatchObject({ names: ['shop.example.org'], by: 'ann', putAtMs: NOW_MS });
  expect((await stat(join(folder, 'certificates'))).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, 'certificates', 'shop.pem'))).mode & 0o777).toBe(0o600);
  expect(await files.read('shop')).toContain('PRIVATE KEY');
  expect(JSON.stringify(await store.list(''))).not.toContain('PRIVATE');
});

test('one that is refused changes nothing', async () => {
  await operations.put('shop', text, 'ann');
  const before = await store.get('certificates/shop');
  expect((await refusal(operations.put('shop', 'hello', 'ann'))).code).toBe('invalid-certificate');
  expect(await store.get('certificates/shop')).toEqual(before);
  expect(await files.read('shop')).toContain('PRIVATE KEY');
});

test('one that the store does not take leaves the file that the record names, unless it was written all the same', async () => {
  const transact = store.transact.bind(store);
  const refuse = async () => {
    throw new Error('the disk is full');
  };
  store.transact = refuse;
  await expect(operations.put('shop', text, 'ann')).rejects.toThrow('full');
  expect(await files.read('shop')).toBeNull();
  store.transact = transact;
  await operations.put('shop', text, 'ann');
  const before = await files.read('shop');
  const other = await (await anAuthority(NOW_MS)).issueServer(['shop.example.org'], NOW_MS);
  const otherText = `${other.certificate}\n${other.key}`;
  store.transact = refuse;
  await expect(operations.put('shop', otherText, 'ann')).rejects.toThrow('full');
  expect(await files.read('shop')).toBe(before);
  store.transact = async (transaction) => {
    await transact(transaction);
    return refuse();
  };
  await expect(operations.put('shop', otherText, 'ann')).rejects.toThrow('full');
  expect(await files.read('shop')).not.toBe(before);
  store.transact = transact;
  expect(await operations.recover()).toEqual([]);
});

test('one that an endpoint uses is removed by force only; then file and record are gone', async () => {
  expect((await refusal(operations.remove('shop'))).code).toBe('not-found');
  await operations.put('shop', text, 'ann');
  await declare();
  const error = await refusal(operations.remove('shop'));
  expect([error.code, error.message]).toEqual(['conflict', 'certificate shop is used by crm/web/https']);
  await operations.remove('shop', { force: true });
  expect(await readdir(join(folder, 'certificates'))).toEqual([]);
  expect(await store.get('certificates/shop')).toBeNull();
});

test('another one is asked for where there is somebody to obtain it', async () => {
  expect((await refusal(operations.renew('shop'))).message).toContain('has no --certificate-hook');
  const hooked = new CertificateOperations({ store, files, clock: new VirtualClock(NOW_MS), hasHook: true });
  await declare();
  expect((await refusal(hooked.renew('shop'))).message).toContain('no endpoint says for which names');
  await declare(['shop.example.org']);
  await hooked.put('shop', text, 'ann');
  await hooked.renew('shop');
  const record = (await store.get('certificates/shop'))?.value;
  expect(record).toMatchObject({ askedAtMs: NOW_MS, kept: { by: 'ann' } });
});

test('a file that has no record, or another one, is taken in by the next controller; what is none is left', async () => {
  await operations.put('shop', text, 'ann');
  expect(await operations.recover()).toEqual([]);
  await store.transact({ deletes: ['certificates/shop'] });
  await writeFile(join(folder, 'certificates', 'half.pem'), 'hello');
  expect(await operations.recover()).toEqual(['shop']);
  expect((await store.get('certificates/shop'))?.value).toMatchObject({
    kept: { names: ['shop.example.org'] },
  });
});

test('no answer of the API has a key in it', async () => {
  const [tokens, log] = [new Tokens(store), createLogger('api', 'silent')];
  await tokens.addApi('secret-1', 'ann', 0);
  const clock = new VirtualClock(NOW_MS);
  const challenges = new ChallengeOperations({ store, clock });
  const fleet = { hosts: () => [] };
  const context = { version: '0', store, tokens, fleet, clock, log, certificates: operations, challenges };
  const api = await createApi(context as unknown as ApiContext, null);
  try {
    const ask = (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: object) =>
      api.inject({
        method,
        url,
        headers: { authorization: 'Bearer secret-1' },
        ...(payload ? { payload } : {}),
      });
    const put = await ask('PUT', '/v1/certificates/shop', { certificate: text });
    expect(put.json()).toMatchObject({ name: 'shop', kept: { by: 'ann' } });
    const wrong = await ask('PUT', '/v1/certificates/shop', {
      certificate: text.replace('CERTIFICATE', 'X'),
      key: 7,
    });
    expect(wrong.statusCode).toBe(400);
    const listed = await ask('GET', '/v1/certificates');
    expect(listed.json()).toHaveLength(1);
    const key = (await readFile(join(folder, 'certificates', 'shop.pem'), 'utf8')).split(
      'PRIVATE KEY-----\n',
    )[1];
    for (const { body } of [put, wrong, listed]) {
      expect(body).not.toContain('PRIVATE');
      expect(body).not.toContain(key?.slice(0, 40));
    }
    expect((await ask('PUT', '/v1/certificates/..%2Fshop', { certificate: text })).statusCode).toBe(400);
    expect((await ask('DELETE', '/v1/certificates/shop')).statusCode).toBe(200);
  } finally {
    await api.close();
  }
});

const TOKEN = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
const ANSWER = `${TOKEN}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ`;

test('a challenge is taken as ACME has it, where an endpoint would answer it', async () => {
  const challenges = new ChallengeOperations({ store, clock: new VirtualClock(NOW_MS) });
  const refused = async (token: string, answer: string) =>
    (await refusal(challenges.put(token, answer))).code;
  expect(await refused(TOKEN, ANSWER)).toBe('conflict');
  await store.transact({
    puts: [
      {
        key: 'apps/crm',
        value: anApplication('crm', { roles: { web: aRole({ endpoints: { http: AN_INPUT } }) } }),
      },
    ],
  });
  for (const [token, answer] of [
    [TOKEN, TOKEN],
    [TOKEN, `${ANSWER} x`],
    [TOKEN, `${ANSWER}\n`],
    ['short', 'short.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ'],
    [`${TOKEN.slice(1)}A`, ANSWER],
    [`../${TOKEN}`, `../${ANSWER}`],
    [`${TOKEN};x`, `${TOKEN};x.${ANSWER.slice(-43)}`],
  ] as const)
    expect(await refused(token, answer), answer).toBe('bad-request');
  await challenges.put(TOKEN, ANSWER);
  expect((await store.get(`challenges/${TOKEN}`))?.value).toEqual({
    ...{ token: TOKEN, authorization: ANSWER, untilMs: NOW_MS + 3_600_000 },
  });
  expect([
    await challenges.remove(TOKEN),
    await challenges.remove(TOKEN),
    await challenges.remove('nope'),
  ]).toEqual([...[true, false, false]]);
  expect(await store.get(`challenges/${TOKEN}`)).toBeNull();
});
