import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EdgeGoal, EdgeReport, PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { EdgeStage, VIP } from './stage.ts';

const stage = new EdgeStage();
const HOST = '10.213.7.1';
const NOTHING: EdgeGoal = { addresses: [], endpoints: [] };

const endpoint = (drainMs: number, address = HOST): PublishedEndpoint => ({
  ...{ id: 'crm/web/echo', addresses: [address], port: 81, protocol: 'tcp', proxyProtocol: false, drainMs },
  backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 81, state: 'ready' }],
});
const LONG = { addresses: [], endpoints: [endpoint(600_000)] };
const SHORT = { addresses: [], endpoints: [endpoint(1_000)] };

const isUp = ({ endpoints: [first] }: EdgeReport) =>
  first?.state === 'served' && first.backends.some(({ state }) => state === 'up');
const hold = (name: string, host = HOST) => stage.world<string>('hold', { name, host, port: 81 });
const again = (name: string) => stage.world<string>('again', { name });
const untilRefused = () =>
  waitFor(
    'nothing new to be taken',
    async () => {
      const answer = await hold('none');
      // Until then it is one that is open.
      await stage.world('release', { name: 'none' });
      return answer;
    },
    (answer) => answer.includes('ECONNREFUSED'),
    60_000,
    200,
  );
const untilEnded = () =>
  waitFor(
    'the load balancer to end',
    () => stage.pidsOf('a', 'haproxy'),
    (pids) => pids.length === 0,
    90_000,
  );

async function serve(goal: EdgeGoal, limitMs?: number): Promise<void> {
  stage.tell('a', goal);
  await stage.until('a', 'the endpoint', isUp, limitMs);
}

beforeAll(async () => {
  await stage.up();
  await stage.world('listen', { name: 'echo', address: '10.213.7.11', port: 81 });
  stage.startKeeper('a');
});
afterAll(() => stage.down());

it('connections of the last endpoint that goes live on, also when another one comes meanwhile', async () => {
  await serve(LONG);
  expect(await hold('open')).toBe('echo hello');
  stage.tell('a', NOTHING);
  await untilRefused();
  expect(await again('open')).toBe('echo again');
  await serve(LONG);
  expect(await hold('new')).toBe('echo hello');
  expect(await again('open')).toBe('echo again');
  stage.tell('a', NOTHING);
  await untilRefused();
  for (const name of ['open', 'new']) await stage.world('release', { name });
  await untilEnded();
});

it('they are ended after the drain of the endpoint', async () => {
  await serve(SHORT);
  expect(await hold('open')).toBe('echo hello');
  stage.tell('a', NOTHING);
  await untilEnded();
  expect(await again('open')).toMatch(/^failed/);
});

it('they are ended by the next agent, when one is killed meanwhile', async () => {
  await serve(LONG);
  expect(await hold('open')).toBe('echo hello');
  stage.tell('a', NOTHING);
  await untilRefused();
  await stage.killKeeper('a');
  stage.startKeeper('a');
  stage.tell('a', NOTHING);
  await untilEnded();
});

it('a shared address goes before the load balancer does', async () => {
  const shared = { address: VIP, prefix: 24, routerId: 41, priority: 200, peers: ['10.213.7.2'] };
  await serve({ addresses: [shared], endpoints: [endpoint(600_000, VIP)] });
  await stage.until('a', 'the address', ({ held }) => held.includes(VIP));
  await waitFor(
    'an answer',
    () => hold('open', VIP),
    (answer) => answer === 'echo hello',
    60_000,
  );
  stage.tell('a', NOTHING);
  await waitFor(
    'the address to go',
    () => stage.hasAddress('a', VIP),
    (has) => !has,
    60_000,
  );
  await waitFor(
    'keepalived to end',
    () => stage.pidsOf('a', 'keepalived'),
    (pids) => pids.length === 0,
    60_000,
  );
  // What is open there has nobody any more to hear of it, and is waited for all the same.
  expect((await stage.pidsOf('a', 'haproxy')).length).toBeGreaterThan(0);
});

it('it is there at once when it is wanted again, however often it has been sent away', async () => {
  for (let round = 0; round < 9; round++) {
    await serve(SHORT, 15_000);
    stage.tell('a', NOTHING);
    await untilEnded();
  }
});
