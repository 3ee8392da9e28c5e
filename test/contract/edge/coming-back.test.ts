import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Haproxy } from '../../../agent/edge/haproxy.ts';
import { edgeServers } from '../../../agent/edge/servers.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { OwnServer } from '../../../agent/kit/own-server.ts';
import type { PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { freePort } from '../../support/free-port.ts';

const ROUNDS = 120;
const LIMIT_MS = 30_000;
/** In steps up to this, something is served again after nothing was: around the moment at which the load balancer has ended. */
const LONGEST_PAUSE_MS = 60;
/** So many times shorter in every other round: it is just about to end then, and may be gone while it is asked something. */
const SHORTER = 5;
const SERVER = '127.0.0.1';

let folder: string;
let port: number;
let backend: Server;
let haproxy: Haproxy;
let isOver = false;
let client: Promise<void>;

const endpoint = (round: number): PublishedEndpoint => ({
  ...{ id: 'crm/web/http', addresses: [SERVER], port, protocol: 'http', proxyProtocol: false },
  backends: [
    {
      name: `web-0.${round}`,
      address: SERVER,
      port: (backend.address() as AddressInfo).port,
      state: 'ready',
    },
  ],
});

/** One connection is open most of the time, and is waited for by what ends. */
const ask = () =>
  new Promise<number | null>((resolve) => {
    request({ host: SERVER, port, agent: false }, (answer) => {
      answer.resume();
      answer.once('close', () => resolve(answer.statusCode ?? null));
    })
      .once('error', () => resolve(null))
      .end();
  });

async function askOnAndOn(): Promise<void> {
  while (!isOver) {
    await ask();
    await sleep(1);
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-coming-back-'));
  port = await freePort();
  backend = createServer((_asked, answer) => void setTimeout(() => answer.end('here'), 20));
  await new Promise<void>((resolve) => backend.listen(0, SERVER, resolve));
  haproxy = new Haproxy({
    ...{ folder, clock: systemClock, onExit: () => undefined },
    certificateFile: (name) => name,
  });
  client = askOnAndOn();
});
afterAll(async () => {
  isOver = true;
  await client;
  await new OwnServer(edgeServers(folder).haproxy).end(systemClock);
  backend.close();
  await rm(folder, { recursive: true, force: true });
});

test('what is to serve again while it is about to end, or has just ended, serves at once', async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    expect(await haproxy.keep([endpoint(round)], '')).toBeNull();
    haproxy.leave(LIMIT_MS);
    await sleep((LONGEST_PAUSE_MS * round) / ROUNDS / (round % 2 === 0 ? 1 : SHORTER));
  }
  expect(await haproxy.keep([endpoint(0)], '')).toBeNull();
  expect(await ask()).toBe(200);
}, 120_000);
