import { expect, test } from 'vitest';
import { tellUnserved } from '../../../controller/cli/commands/apply.ts';
import type { EndpointRow } from '../../../controller/client/types.ts';

const row = (id: string, over: Partial<EndpointRow>): EndpointRow => ({
  ...{ id, addresses: [], port: 443, protocol: 'http', state: 'served', host: null },
  ...{ connections: 0, bytesIn: 0, bytesOut: 0, backends: [] },
  ...over,
});

test('what is applied and ready says which of its endpoints nobody serves', async () => {
  const said: string[] = [];
  const endpoints = [
    row('shop/web/http', { reason: 'h2: port 80 is taken' }),
    row('shop/web/https', { state: 'failed', reason: 'h1: certificate shop is not there' }),
  ];
  const client = { getApplication: async (name: string) => ({ name, generation: 1, endpoints }) };
  await tellUnserved({ say: (text) => void said.push(text) }, client, 'shop');
  expect(said).toEqual(['shop/web/https is not served: h1: certificate shop is not there']);
});
