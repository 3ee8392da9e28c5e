import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { dialGuest } from '../../../agent/session/guest-dial.ts';
import { freePort } from '../../support/free-port.ts';

const HOST = '127.0.0.1';

test('connects, once, to a guest that answers', async () => {
  let connections = 0;
  const server = createServer(() => connections++);
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
  const socket = await dialGuest({ host: HOST, port, limitMs: 10_000 });
  expect(socket.remotePort).toBe(port);
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  expect(connections).toBe(1);
});

test('hears at once of a guest that refuses', async () => {
  const dialled = dialGuest({ host: HOST, port: await freePort(), limitMs: 60_000 });
  await expect(dialled).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('tries again where there is no way to a guest, and says in the end what it was', async () => {
  const dialled = dialGuest({ host: '255.255.255.255', port: 22, limitMs: 500 });
  await expect(dialled).rejects.toMatchObject({
    message: '255.255.255.255 does not answer on port 22',
    cause: { syscall: 'connect' },
  });
});
