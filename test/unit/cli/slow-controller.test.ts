import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Transport } from '../../../controller/client/transport.ts';
import { anAuthority } from '../../support/certificates.ts';
import { waitFor } from '../../support/wait-for.ts';

let server: Server;
let transport: Transport;
/** What it was asked and has not answered: it does when it is let. */
let waiting: (() => void)[];
let told: string[];
let isTold: Promise<void>;

beforeEach(async () => {
  const authority = await anAuthority();
  const { key, certificate } = await authority.issueServer(['127.0.0.1'], Date.now());
  waiting = [];
  server = createServer({ key, cert: certificate }, (request, response) => {
    const send = () => response.end('{}');
    if (request.url === '/quick') send();
    else waiting.push(send);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  told = [];
  isTold = new Promise((resolve) => {
    const controller = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    transport = new Transport(
      { controller, ca: authority.ca, token: 'token' },
      {
        slowAfterMs: 50,
        onSlow: (which) => {
          told.push(which.replace(/\d+$/, 'PORT'));
          resolve();
        },
      },
    );
  });
});
afterEach(() => {
  transport.close();
  server.close();
});

test('who waits for a controller is told so, once', async () => {
  for (let round = 0; round < 2; round++) {
    const slow = transport.json('GET', '/slow');
    await isTold;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await waitFor(
      'it to be asked',
      async () => waiting,
      ({ length }) => length > 0,
      20_000,
      5,
    );
    waiting.pop()?.();
    expect(await slow).toEqual({});
  }
  expect(told).toEqual(['https://127.0.0.1:PORT']);
});

test('of a controller that is not there, and of one that has answered, nobody is told that it is slow', async () => {
  expect(await transport.json('GET', '/quick')).toEqual({});
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await expect(transport.json('GET', '/slow')).rejects.toMatchObject({ code: 'host-unreachable' });
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(told).toEqual([]);
});
