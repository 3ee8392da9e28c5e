import { afterEach, beforeEach, expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { ApiContext } from '../../../controller/api/context.ts';
import { type Api, createApi } from '../../../controller/api/server.ts';
import { Tokens } from '../../../controller/fleet/tokens.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';

let api: Api;
let signed: string[];

beforeEach(async () => {
  signed = [];
  const store = new MemoryStore();
  const tokens = new Tokens(store);
  await tokens.addApi('secret-1', 'ann', 0);
  await tokens.addApi('secret-2', '', 0);
  const operations = {
    confirmDead: async (host: string, by: string) => {
      if (host === 'h9')
        throw new WeftError('conflict', 'host h9 is up: its lease is held', { remedy: 'Wait.' });
      signed.push(`${host} by ${by}`);
    },
    fenceTest: async () => [
      { device: 'fence_a (1 of 1)', ok: false, power: null, message: 'Connection timed out', ms: 3 },
    ],
  };
  const log = createLogger('api', 'silent');
  const context = { version: '0', store, tokens, operations, clock: new VirtualClock(1), log };
  api = await createApi(context as unknown as ApiContext, null);
});
afterEach(() => api.close());

const post = (path: string, token: string) =>
  api.inject({ method: 'POST', url: path, headers: { authorization: `Bearer ${token}` } });

test('who signs is who the token was made for, whatever the request says', async () => {
  expect((await post('/v1/hosts/h1/confirm-dead?by=bob', 'secret-1')).statusCode).toBe(200);
  expect((await post('/v1/hosts/h2/confirm-dead', 'secret-2')).statusCode).toBe(200);
  expect((await post('/v1/hosts/h3/confirm-dead', 'wrong')).statusCode).toBe(401);
  expect(signed).toEqual(['h1 by ann', 'h2 by ']);
});

test('a refusal is said with its reason and remedy', async () => {
  const response = await post('/v1/hosts/h9/confirm-dead', 'secret-1');
  expect(response.statusCode).toBe(409);
  expect(response.json()).toEqual({
    code: 'conflict',
    message: 'host h9 is up: its lease is held',
    remedy: 'Wait.',
  });
});

test('a test of devices that fail is an answer, not an error', async () => {
  const response = await post('/v1/hosts/h1/fence-test', 'secret-1');
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual([
    { device: 'fence_a (1 of 1)', ok: false, power: null, message: 'Connection timed out', ms: 3 },
  ]);
});
