import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { MigrationSockets } from '../../../agent/migrations/sockets.ts';

test('sockets have names that AppArmor’s helper of libvirt allows a guest, and paths that the kernel takes', () => {
  const sockets = new MigrationSockets();
  expect(sockets.path('weft-5eed-crm-db-a6cbe0', 2, 'memory')).toBe(
    '/run/libvirt/weft/2.memory.tunnelmigrate.dest.weft-5eed-crm-db-a6cbe0',
  );
  const long = (letter: string) => `weft-5eed-${letter.repeat(40)}-${letter.repeat(50)}-a6cbe0`;
  expect(sockets.path(long('a'), 123_456, 'control').length).toBeLessThan(108);
  expect(sockets.path(long('a'), 2, 'control')).not.toBe(sockets.path(long('b'), 2, 'control'));
});

test('who connects to a socket that is listened on is heard, also where one was left behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-sockets-'));
  try {
    const sockets = new MigrationSockets(folder);
    await sockets.prepare(null);
    const path = sockets.path('weft-5eed-crm-db-a6cbe0', 2, 'memory');
    const echo = (socket: Duplex) => void socket.pipe(socket);
    (await sockets.listen(path, null, echo)).close();
    const listening = await sockets.listen(path, null, echo);
    const socket = await sockets.connect(path);
    socket.write('here');
    expect(String((await socket[Symbol.asyncIterator]().next()).value)).toBe('here');
    socket.destroy();
    listening.close();
    await expect(sockets.connect(path)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
