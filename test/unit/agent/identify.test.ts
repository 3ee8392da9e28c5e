import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { identify } from '../../../agent/session/identify.ts';
import { type Identity, IdentityFolder } from '../../../agent/session/identity.ts';
import { hashOfToken } from '../../../agent/session/join.ts';

const TOKEN = 'weft1.first\n';
const KNOWN: Identity = {
  fleet: '5eed0000-0000-4000-8000-000000000001',
  hostName: 'h1',
  controller: '127.0.0.1:1',
  epoch: 4,
  joinedWith: hashOfToken(TOKEN),
  key: 'key',
  certificate: 'certificate',
  ca: 'ca',
};
const log = createLogger('test', 'silent');

let folder: string;
let identities: IdentityFolder;
let tokenFile: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-identify-'));
  identities = new IdentityFolder(join(folder, 'identity'));
  tokenFile = join(folder, 'token');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a host that has joined', () => {
  beforeEach(() => identities.write(KNOWN));

  test('keeps its identity without a token, with the one it joined with, and with a file that is gone', async () => {
    await writeFile(tokenFile, TOKEN);
    expect(await identify(identities, 'h1', null, log)).toEqual(KNOWN);
    expect(await identify(identities, 'h1', tokenFile, log)).toEqual(KNOWN);
    expect(await identify(identities, 'h1', join(folder, 'absent'), log)).toEqual(KNOWN);
  });

  test('goes on as before when a new token does not get it in', async () => {
    await writeFile(tokenFile, 'weft1.no-token-at-all');
    expect(await identify(identities, 'h1', tokenFile, log)).toEqual(KNOWN);
    expect(await identities.read()).toEqual(KNOWN);
  });
});

describe('a host that has not joined', () => {
  test('says how to get a token', async () => {
    await expect(identify(identities, 'h1', null, log)).rejects.toMatchObject({
      code: 'set-up',
      remedy: expect.stringContaining('weft host token'),
    });
    await expect(identify(identities, 'h1', tokenFile, log)).rejects.toMatchObject({ code: 'set-up' });
  });

  test('refuses what is no token', async () => {
    await writeFile(tokenFile, 'hello');
    await expect(identify(identities, 'h1', tokenFile, log)).rejects.toMatchObject({
      code: 'unauthorized',
    });
  });
});
