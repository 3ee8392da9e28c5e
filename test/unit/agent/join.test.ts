import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeCertificateRequest } from '../../../agent/session/csr.ts';
import { join } from '../../../agent/session/join.ts';
import { Authority } from '../../../controller/fleet/authority.ts';
import { refusal } from '../../support/refusal.ts';

let folder: string;
let authority: Authority;
let server: Server;
let heard: number;

beforeEach(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'weft-join-'));
  authority = await Authority.open(folder, 'fleet', Date.now());
  heard = 0;
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A token that names whoever shows this certificate, at the end of a chain that ends in the fleet's CA. */
async function tokenFor(tls: { key: string; certificate: string }): Promise<string> {
  server = createServer({ key: tls.key, cert: tls.certificate }, (_request, response) => {
    heard++;
    response.writeHead(401).end('{"code":"unauthorized","message":"this token was used"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const controller = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const payload = { controller, secret: 'secret', caFingerprint: authority.fingerprint };
  return `weft1.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
}

test('a token is sent to the controller, and to no host of its fleet', async () => {
  const controller = await authority.issueServer(['127.0.0.1'], Date.now());
  expect((await refusal(join(await tokenFor(controller), 'h9'))).message).toBe('this token was used');
  expect(heard).toBe(1);
  server.close();
  const { key, csr } = await makeCertificateRequest('h1');
  const certificate = `${await authority.issueHost(csr, 'h1', Date.now())}\n${authority.ca}`;
  const refused = await refusal(join(await tokenFor({ key, certificate }), 'h9'));
  expect(refused).toMatchObject({
    code: 'unauthorized',
    message: expect.stringContaining('is not the controller'),
  });
  expect(heard).toBe(1);
});
