import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Due } from '../../../controller/certificates/due.ts';
import type { Hook } from '../../../controller/certificates/hook.ts';
import { Obtainer } from '../../../controller/certificates/obtainer.ts';
import type { Authority } from '../../../controller/fleet/authority.ts';
import type { CertificateRecord } from '../../../controller/model/index.ts';
import { CertificateOperations } from '../../../controller/operations/certificates.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { AN_HTTPS, anApplication, aRole } from '../../support/builders/application.ts';
import { anAuthority } from '../../support/certificates.ts';
import { waitFor } from '../../support/wait-for.ts';

const START_MS = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;
const NAMES = ['shop.example.org'];

let store: MemoryStore;
let clock: VirtualClock;
let authority: Authority;
let asked: (Due & { readonly fingerprint: string | null })[];
let obtain: Hook['obtain'];
let obtainer: Obtainer;

const declare = (certificateNames: readonly string[]) =>
  store.transact({
    puts: [
      {
        key: 'apps/crm',
        value: anApplication('crm', {
          roles: { web: aRole({ endpoints: { https: { ...AN_HTTPS, certificateNames } } }) },
        }),
      },
    ],
  });
const recordOf = async () => (await store.get('certificates/shop'))?.value as CertificateRecord | undefined;
/** Time goes on meanwhile: a look that is under way sets its next one only when it has ended. */
const until = (what: string, wanted: (record: CertificateRecord | undefined) => boolean) =>
  waitFor(
    what,
    async () => {
      await clock.advance(1_000);
      return recordOf();
    },
    wanted,
    30_000,
    5,
  );
const issued = async (names: readonly string[]) => {
  const { certificate, key } = await authority.issueServer(names, clock.now());
  return `${certificate}\n${key}`;
};

beforeEach(async () => {
  store = new MemoryStore();
  clock = new VirtualClock(START_MS);
  authority = await anAuthority(START_MS);
  asked = [];
  obtain = ({ names }) => issued(names);
  const files = new Map<string, string>();
  const certificates = new CertificateOperations({
    store,
    files: {
      read: async (name) => files.get(name) ?? null,
      write: async (name, pem) => void files.set(name, pem),
      remove: async (name) => void files.delete(name),
      list: async () => [...files.keys()],
    },
    clock,
    hasHook: true,
  });
  obtainer = new Obtainer({
    ...{ store, certificates, clock, log: createLogger('obtainer', 'silent') },
    hook: {
      obtain: (due, fingerprint, signal) => {
        asked.push({ ...due, fingerprint });
        return obtain(due, fingerprint, signal);
      },
    },
  });
});
afterEach(() => obtainer.close());

test('what an endpoint wants is obtained when it is declared, and again when a third of its life is left', async () => {
  await obtainer.start();
  await declare(NAMES);
  const first = await until('a certificate', (record) => record?.kept != null);
  expect(first?.kept).toMatchObject({ names: NAMES, by: 'the certificate hook' });
  expect(asked).toMatchObject([{ name: 'shop', names: NAMES, fingerprint: null }]);
  await clock.advance(59 * DAY_MS);
  expect(asked).toHaveLength(1);
  await clock.advance(2 * DAY_MS);
  await until('another one', (record) => record?.kept?.digest !== first?.kept?.digest);
  expect(asked[1]?.fingerprint).toBe(first?.kept?.fingerprint);
});

test('what fails is noted with its reason, and tried again after waits that grow; then nothing is left of it', async () => {
  obtain = () => Promise.reject(new Error('the server is away'));
  await declare(NAMES);
  await obtainer.start();
  const failed = await until('the failure', (record) => record?.attempt?.failures === 1);
  expect(failed).toMatchObject({
    kept: null,
    attempt: { message: 'the server is away', names: NAMES },
  });
  expect((failed?.attempt?.nextAtMs ?? 0) - (failed?.attempt?.failedAtMs ?? 0)).toBe(2 * 60_000);
  await clock.advance(2 * 60_000);
  const again = await until('another failure', (record) => record?.attempt?.failures === 2);
  expect((again?.attempt?.nextAtMs ?? 0) - (again?.attempt?.failedAtMs ?? 0)).toBe(4 * 60_000);
  obtain = ({ names }) => issued(names);
  await clock.advance(4 * 60_000);
  await until('a certificate', (record) => record?.kept != null && record.attempt === null);
});

test('a hook that brings nothing, or one for other names, has failed', async () => {
  obtain = async () => null;
  await declare(NAMES);
  await obtainer.start();
  const none = await until('the failure', (record) => record?.attempt?.failures === 1);
  expect(none?.attempt?.message).toContain('there is none');
  obtain = () => issued(['other.example.org']);
  await declare(['shop.example.org', 'www.example.org']);
  const other = await until('another failure', (record) => record?.attempt?.message.includes('www') === true);
  expect(other?.attempt).toMatchObject({ failures: 1 });
  expect(other?.kept?.names).toEqual(['other.example.org']);
});

test('a key in what a hook says is not told', async () => {
  obtain = () => Promise.reject(new Error('failed with -----BEGIN PRIVATE KEY----- secret'));
  await declare(NAMES);
  await obtainer.start();
  const failed = await until('the failure', (record) => record?.attempt != null);
  expect(JSON.stringify(failed)).not.toContain('secret');
});

test('a failure that nobody wants any more is forgotten', async () => {
  obtain = () => Promise.reject(new Error('no'));
  await declare(NAMES);
  await obtainer.start();
  await until('the failure', (record) => record?.attempt != null);
  await store.transact({ deletes: ['apps/crm'] });
  await until('it to be gone', (record) => record === undefined);
});
