import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import ssh2 from 'ssh2';
import { expect, test } from 'vitest';
import { untilReady } from '../../../agent/kit/ssh-ready.ts';

const LONG_MS = 60_000;

/** What comes of a connection to a server that says this, and ends. */
async function connectTo(said: string): Promise<void> {
  const server = createServer((socket) => socket.end(said));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new ssh2.Client();
  const ready = untilReady(client);
  client.connect({
    ...{ host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    ...{ username: 'root', password: 'x', readyTimeout: LONG_MS },
  });
  try {
    await ready;
  } finally {
    server.close();
  }
}

test('a server that ends the connection is told of, whether it has said a word before or not', async () => {
  await expect(connectTo('')).rejects.toThrow('Connection lost before handshake');
  await expect(connectTo('SSH-2.0-Test\r\n')).rejects.toThrow('the connection was lost in its handshake');
});
