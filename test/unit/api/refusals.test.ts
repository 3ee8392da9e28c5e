import { expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { ApiContext } from '../../../controller/api/context.ts';
import { createApi } from '../../../controller/api/server.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';

const context = {
  ...{
    version: '1',
    store: new MemoryStore(),
    clock: new VirtualClock(),
    log: createLogger('test', 'silent'),
  },
  tokens: { labelOfApi: async () => 'somebody' },
} as unknown as ApiContext;

async function answerTo(method: 'GET' | 'PUT' | 'POST', url: string, payload?: object) {
  const api = await createApi(context, null);
  const headers = { authorization: 'Bearer secret' };
  const answer = await api.inject({ method, url, headers, ...(payload ? { payload } : {}) });
  await api.close();
  return [answer.statusCode, answer.json()];
}

const NAME = 'must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40';

test.each([
  ['PUT', '/v1/certificates/UPPER', { certificate: 'x' }, `name: ${NAME}`],
  [
    'PUT',
    '/v1/certificates/shop',
    { certificate: 'x'.repeat(131_073) },
    'certificate: must be at most 131072 characters long',
  ],
  ['PUT', '/v1/certificates/shop', { certificate: 80 }, 'certificate: must be a text, not a number'],
  ['PUT', '/v1/certificates/shop', {}, 'certificate: is missing (string)'],
  ['GET', '/v1/network/why?from=a&to=b&port=70000', undefined, 'port: must be at most 65535'],
  ['GET', '/v1/network/why?from=a&to=b&port=1&protocol=sctp', undefined, 'protocol: must be one of tcp, udp'],
  [
    'POST',
    '/v1/plan',
    { app: 'crm', source: '', packages: { a: 'b' } },
    'packages.a: must be a digest: sha256: and 64 hex digits in lower case',
  ],
] as const)('%s %s says in plain words what is wrong with it', async (method, url, payload, message) => {
  expect(await answerTo(method, url, payload)).toEqual([400, { code: 'bad-request', message }]);
});
