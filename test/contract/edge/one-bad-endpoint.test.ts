import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EdgeGoal, EdgeReport, PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { EdgeStage } from './stage.ts';

const stage = new EdgeStage();
const HOST = '10.213.7.1';

const endpoint = (id: string, port: number): PublishedEndpoint => ({
  ...{ id, addresses: [HOST], port, protocol: 'http', proxyProtocol: false },
  backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 80, state: 'ready' }],
});
const goalOf = (...endpoints: readonly PublishedEndpoint[]): EdgeGoal => ({
  addresses: [],
  endpoints: [...endpoints],
});
const [PLAIN, BAD, MORE] = [
  endpoint('crm/web/http', 80),
  endpoint('other/web/x', 40_000),
  endpoint('crm/web/more', 82),
];
const stateOf = (id: string) => (report: EdgeReport) =>
  report.endpoints.find((each) => each.id === id)?.state ?? 'unknown';

beforeAll(async () => {
  await stage.up();
  await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
  await stage.world('listen', { name: 'far', address: '10.213.7.12', port: 5001 });
  stage.startKeeper('a');
  stage.tell('a', goalOf(PLAIN));
  await stage.until('a', 'the endpoint', (report) => stateOf(PLAIN.id)(report) === 'served');
});
afterAll(() => stage.down());

it('an endpoint whose port a connection from here has is left out without a failed request to any other', async () => {
  const taker = await stage.connectFrom('a', BAD.port, '10.213.7.12', 5001);
  await stage.world('load', { name: 'all along', host: HOST, port: 80 });
  stage.tell('a', goalOf(PLAIN, BAD));
  const { endpoints } = await stage.until(
    'a',
    'the bad one to be told',
    (report) => stateOf(BAD.id)(report) === 'failed',
  );
  expect(endpoints.find(({ id }) => id === BAD.id)?.reason).toMatch(/^port 40000 of 10\.213\.7\.1 is in use/);
  stage.tell('a', goalOf(PLAIN, BAD, MORE));
  const report = await stage.until('a', 'a third one', (each) => stateOf(MORE.id)(each) === 'served');
  expect(stateOf(BAD.id)(report)).toBe('failed');
  expect(await stage.world('end', { name: 'all along' })).toMatchObject({ failures: 0, first: [] });
  taker.kill('SIGKILL');
  // Whoever closes first has the port for a minute more.
  await stage.world('close', { name: 'far' });
  await stage.until('a', 'it to be served', (each) => stateOf(BAD.id)(each) === 'served', 180_000);
});

it('what the load balancer says never fills a disk, also while it runs', async () => {
  const log = join(stage.folder('a'), 'haproxy.log');
  await appendFile(log, 'x'.repeat(2 * 1024 * 1024));
  await waitFor(
    'it to be trimmed',
    async () => (await stat(log)).size,
    (size) => size < 1024 * 1024,
    60_000,
  );
});
