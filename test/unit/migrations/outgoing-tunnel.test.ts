import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OutgoingTunnel } from '../../../agent/migrations/outgoing-tunnel.ts';
import { MigrationSockets } from '../../../agent/migrations/sockets.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-tunnel-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('what is said before the other host is there is kept, and goes there', async () => {
  const sockets = new MigrationSockets(folder);
  const far = { asked: () => {}, isThere: () => {} };
  const asked = new Promise<void>((resolve) => {
    far.asked = resolve;
  });
  const there = new Promise<void>((resolve) => {
    far.isThere = resolve;
  });
  const tunnel = await OutgoingTunnel.open(sockets, null, {
    domain: 'crm-db',
    incarnation: 2,
    dial: async () => {
      far.asked();
      await there;
      return new PassThrough();
    },
    onFailed: (error) => {
      throw error;
    },
  });
  const guest = connect(sockets.path('crm-db', 2, 'memory'));
  const said = Buffer.alloc(4 << 20, 'memory of a guest ');
  guest.end(said);
  await asked;
  far.isThere();
  const heard: Buffer[] = [];
  for await (const chunk of guest) heard.push(chunk as Buffer);
  expect(Buffer.concat(heard).equals(said)).toBe(true);
  tunnel.close();
});
