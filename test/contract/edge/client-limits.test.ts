import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EdgeGoal, PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { EdgeStage, VIP, VIP6 } from './stage.ts';

const stage = new EdgeStage();
/** Clients of the world by their addresses. */
const [GREEDY, MODEST] = ['10.213.7.3', '10.213.7.12'];
/** A second's worth is averaged over ten. */
const [RATE, AT_ONCE] = [2, 20];

const endpoint = (over: Partial<PublishedEndpoint>): PublishedEndpoint => ({
  ...{ id: 'crm/web/http', addresses: [VIP, VIP6], port: 80, protocol: 'http', proxyProtocol: false },
  probe: { check: { type: 'tcp' }, intervalMs: 500, timeoutMs: 2_000 },
  backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 80, state: 'ready' }],
  ...over,
});
const http = (limit?: PublishedEndpoint['limit']) => endpoint(limit ? { limit } : {});
const tcp = (limit?: PublishedEndpoint['limit']) =>
  endpoint({
    ...{ id: 'crm/web/echo', port: 81, protocol: 'tcp' },
    backends: [{ name: 'web-1.1', address: '10.213.7.14', port: 81, state: 'ready' }],
    ...(limit ? { limit } : {}),
  });
const goalOf = (...endpoints: readonly PublishedEndpoint[]): EdgeGoal => ({
  addresses: [
    {
      ...{ address: VIP, prefix: 24, routerId: 41, address6: { address: VIP6, prefix: 64 } },
      ...{ priority: 200, peers: [] },
    },
  ],
  endpoints: [...endpoints],
});
const ask = (localAddress: string) => stage.world<string>('ask', { host: VIP, port: 80, localAddress });
const hold = (name: string, localAddress = GREEDY, port = 81) =>
  stage.world<string>('hold', { name, host: VIP, port, localAddress });
const denied = async (id: string, least: number) =>
  stage.until('a', `${least} denied of ${id}`, ({ endpoints }) =>
    endpoints.some((each) => each.id === id && (each.denied ?? 0) >= least),
  );

/** A goal is in force when what it says of limits is served. */
async function serve(...endpoints: readonly PublishedEndpoint[]): Promise<void> {
  stage.tell('a', goalOf(...endpoints));
  await stage.until('a', 'the endpoints with their limits', (report) =>
    endpoints.every(({ id, limit }) =>
      report.endpoints.some(
        (each) =>
          each.id === id &&
          each.backends.every(({ state }) => state === 'up') &&
          (each.denied !== undefined) === (limit !== undefined),
      ),
    ),
  );
}

beforeAll(async () => {
  await stage.up();
  await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
  await stage.world('listen', { name: 'echo', address: '10.213.7.14', port: 81 });
  stage.startKeeper('a');
  await serve(http(), tcp());
  await stage.until('a', 'the address', ({ held }) => held.includes(VIP));
  await waitFor(
    'answers',
    () => stage.ask(),
    (answer) => answer.startsWith('web-0'),
    60_000,
  );
});
afterAll(() => stage.down());

it('limits are taken on and given up without a failed request, and connections that are open go on', async () => {
  expect(await hold('early')).toBe('echo hello');
  await stage.world('load', { name: 'changes', host: VIP, port: 80 });
  for (const limit of [{ connections: 1_000 }, { connections: 1_000, rate: 100_000 }, undefined])
    await serve(http(limit), tcp(limit));
  expect(await stage.world('end', { name: 'changes' })).toMatchObject({ failures: 0, first: [] });
  expect(await stage.world('again', { name: 'early' })).toBe('echo again');
  await stage.world('release', { name: 'early' });
});

it('a client with as many connections as it may have gets no more, and others do', async () => {
  await serve(http(), tcp({ connections: 2 }));
  expect([await hold('one'), await hold('two')]).toEqual(['echo hello', 'echo hello']);
  expect(await hold('three')).toMatch(/^failed/);
  expect(await hold('other', MODEST)).toBe('echo hello');
  for (const name of ['one', 'two']) expect(await stage.world('again', { name })).toBe('echo again');
  await denied('crm/web/echo', 1);
  await stage.world('release', { name: 'one' });
  await waitFor(
    'a place for another one',
    () => hold('four'),
    (answer) => answer === 'echo hello',
    60_000,
  );
  for (const name of ['two', 'four', 'other']) await stage.world('release', { name });
});

it('requests of http that come too fast are answered by 429, connections of tcp are closed, and those of others are not', async () => {
  await serve(http({ rate: RATE }), tcp({ rate: RATE }));
  // All at once: however slow this machine is, they come within one average.
  const many = Array.from({ length: 3 * AT_ONCE }, (_, index) => `fast-${index}`);
  const answers = await Promise.all(many.map(() => ask(GREEDY)));
  expect(answers.filter((each) => each.startsWith('web-0')).length).toBeGreaterThanOrEqual(1);
  expect(new Set(answers.filter((each) => !each.startsWith('web-0')))).toEqual(
    new Set(['failed: Error: status 429']),
  );
  expect(await ask(MODEST)).toMatch(/^web-0/);

  const said = await Promise.all(many.map((name) => hold(name)));
  for (const name of many) await stage.world('release', { name });
  expect(said.filter((each) => each === 'echo hello').length).toBeGreaterThanOrEqual(1);
  expect(said.some((each) => each.startsWith('failed'))).toBe(true);
  expect(await hold('slow', MODEST)).toBe('echo hello');
  await stage.world('release', { name: 'slow' });
  await denied('crm/web/http', 1);
});
