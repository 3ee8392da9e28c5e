import { expect, test } from 'vitest';
import type { Context } from '../../../controller/cli/context.ts';
import { showEndpoints } from '../../../controller/cli/endpoint-list.ts';
import type { EndpointRow, WeftClient } from '../../../controller/client/index.ts';

const ADDRESSES = ['192.0.2.200', '2001:db8:1234:5678:9abc:def0:1234:c8'];
const aRow = (over: Partial<EndpointRow> = {}): EndpointRow => ({
  ...{ id: 'shop/web/https', addresses: ADDRESSES, port: 443, protocol: 'http', state: 'served', host: 'h1' },
  ...{ connections: 123_456, bytesIn: 12_345_678, bytesOut: 12_345_678, backends: [] },
  ...over,
});
const backend = (state: string) => ({ name: 'web-0.1', address: '10.128.0.10', state, sessions: 1 });

async function shown(...rows: readonly EndpointRow[]) {
  let text = '';
  const said: string[] = [];
  const context: Context = {
    json: false,
    client: async () =>
      ({
        getApplication: async () => ({ name: 'shop', generation: 1, endpoints: rows }),
      }) as unknown as WeftClient,
    print: (more) => (text += more),
    say: (line) => said.push(line),
  };
  expect(await showEndpoints(context, 'shop')).toBe(0);
  return { lines: text.trimEnd().split('\n'), said };
}

test('addresses stand below each other, so that a row has room in a terminal', async () => {
  const { lines, said } = await shown(aRow({ backends: [backend('up')] }));
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^shop\/web\/https +served +192\.0\.2\.200 +443 +h1 +1\/1 +0 +1 +123456 /);
  expect(lines[2]?.trim()).toBe(ADDRESSES[1]);
  expect(lines[2]?.indexOf('2001')).toBe(lines[1]?.indexOf('192'));
  expect(said).toEqual([]);
});

test('an endpoint without a backend that is up says so', async () => {
  const { said } = await shown(
    aRow({ id: 'shop/web/http' }),
    aRow({ backends: [backend('down')] }),
    aRow({ id: 'shop/web/old', backends: [backend('draining')] }),
    aRow({ id: 'shop/web/off', state: 'failed', reason: 'h1: not connected' }),
  );
  expect(said).toEqual([
    'shop/web/http: no backend is up, so clients are not answered',
    'shop/web/https: no backend is up, so clients are not answered',
    'shop/web/off: h1: not connected',
  ]);
});
