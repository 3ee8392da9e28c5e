import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { makeCertificateRequest } from '../../../agent/session/csr.ts';
import { Session } from '../../../agent/session/session.ts';
import { Authority } from '../../../controller/fleet/authority.ts';
import { FleetServer } from '../../../controller/fleet/fleet-server.ts';
import { hostOf } from '../../../controller/fleet/host-identity.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';
import { freePort } from '../../support/free-port.ts';
import { refusal } from '../../support/refusal.ts';
import { waitFor } from '../../support/wait-for.ts';

const HOUR_MS = 3_600_000;
const nowMs = Date.now();
let folder = '';
let authority: Authority;
let store: MemoryStore;
let own: { readonly key: string; readonly certificate: string };

/** The other end of a connection, with the certificate of h1. */
const socket = () =>
  ({
    authorized: true,
    getPeerCertificate: () => ({ raw: new X509Certificate(own.certificate).raw }),
  }) as unknown as TLSSocket;
const refused = async () => (await refusal(hostOf(socket(), store))).details;
const remove = (atMs: number) =>
  store.transact({ puts: [{ key: 'removed/h1', value: { host: 'h1', atMs } }] });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-removed-'));
  authority = await Authority.open(folder, 'of a test', nowMs);
  const { key, csr } = await makeCertificateRequest('h1');
  own = { key, certificate: await authority.issueHost(csr, 'h1', nowMs) };
});
beforeEach(() => {
  store = new MemoryStore();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a host that an operator has removed is told so, and one that a store does not know is not', async () => {
  expect(await refused()).toBeUndefined();
  await remove(nowMs + 1);
  expect(await refused()).toEqual({ removed: true });
});

test('one that has joined since it was removed is not', async () => {
  await remove(nowMs - HOUR_MS);
  expect(await refused()).toBeUndefined();
  await store.transact({ puts: [{ key: 'hosts/h1', value: aHost('h1', {}, { joinedAtMs: nowMs }) }] });
  expect(await hostOf(socket(), store)).toMatchObject({ name: 'h1' });
});

test('the agent hears of it when it dials', async () => {
  await remove(nowMs + 1);
  const port = await freePort();
  const log = createLogger('test', 'silent');
  const server = new FleetServer({
    ...{ authority, store, log, clock: systemClock, address: `127.0.0.1:${port}` },
    tls: await authority.issueServer(['127.0.0.1'], nowMs),
  } as never);
  await server.listen(port, '127.0.0.1');
  let heard = 0;
  const unexpected = () => {
    throw new Error('nothing else is said');
  };
  const session = new Session({
    identity: () => ({ controller: `127.0.0.1:${port}`, ca: authority.ca, ...own }) as never,
    hello: unexpected,
    ...{ clock: systemClock, log, onWelcome: unexpected, onGoal: unexpected, onOpenStream: unexpected },
    ...{ onExamine: unexpected, onHeartbeat: unexpected },
    onRemoved: () => {
      heard++;
    },
  });
  session.start();
  try {
    await waitFor(
      'it to be heard, and at the next dial again',
      async () => heard,
      (times) => times >= 2,
      60_000,
    );
  } finally {
    session.close();
    await server.close();
  }
});
