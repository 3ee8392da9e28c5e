import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { PendingStreams, reasonOf } from '../../../controller/fleet/pending-streams.ts';

let server: WebSocketServer;
beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
});
afterEach(() => server.close());

/** A stream that host h1 was asked for and has dialled, and the host's end of it. */
async function dialled() {
  const pending = new PendingStreams(new VirtualClock());
  let id: string = randomUUID();
  const stream = pending.expect('h1', (asked) => {
    id = asked;
  });
  const host = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [socket] = (await once(server, 'connection')) as [WebSocket];
  await once(host, 'open');
  expect(pending.arrived(id, 'h2', socket)).toBe(false);
  expect(pending.arrived(id, 'h1', socket)).toBe(true);
  return { host, stream: await stream };
}

test('a stream whose host lets go of it closes, after all that was said, also for who still writes', async () => {
  const { host, stream } = await dialled();
  const said: string[] = [];
  stream.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const closed = once(stream, 'close');
  stream.write('are you there?');
  host.send('yes');
  host.close(1011, 'read ECONNRESET');
  await closed;
  expect(said).toEqual(['yes']);
  expect(stream.destroyed).toBe(true);
  expect(reasonOf(stream)).toBe('read ECONNRESET');
});

test('only a host that says that something failed has said why, and on one line', async () => {
  for (const [code, said, why] of [
    [1000, 'it is over', null],
    [1011, '', null],
    [1011, 'connect\nECONNREFUSED \u001b[2J10.0.0.1:22', 'connect ECONNREFUSED  [2J10.0.0.1:22'],
  ] as const) {
    const { host, stream } = await dialled();
    stream.resume();
    const closed = once(stream, 'close');
    host.close(code, said);
    await closed;
    expect(reasonOf(stream)).toBe(why);
  }
});
