import { afterAll, beforeAll, expect, it } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import type { EdgeGoal, EdgeReport } from '../../../agent/protocol/network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type EdgeName, EdgeStage, VIP } from './stage.ts';

const stage = new EdgeStage();
const EDGES = ['a', 'b'] as const;
const PEERS = { a: ['10.213.7.2'], b: ['10.213.7.1'] };

const goalOf = (edge: EdgeName): EdgeGoal => ({
  addresses: [
    {
      ...{ address: VIP, prefix: 24, routerId: 41 },
      ...{ priority: edge === 'a' ? 254 : 253, peers: PEERS[edge] },
    },
  ],
  endpoints: [
    {
      ...{ id: 'crm/web/http', addresses: [VIP], port: 80, protocol: 'http', proxyProtocol: false },
      probe: { check: { type: 'http', path: '/' }, intervalMs: 500, timeoutMs: 2_000 },
      backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 80, state: 'ready' }],
    },
  ],
});
const isUp = ({ endpoints }: EdgeReport) => endpoints[0]?.backends[0]?.state === 'up';
const nft = (edge: EdgeName, ...commands: readonly string[]) =>
  exec('ip', ['netns', 'exec', stage.namespace(edge), 'nft', commands.join('; ')], { timeoutMs: 20_000 });
const cut = (edge: EdgeName) =>
  nft(
    edge,
    'add table inet cut',
    'add chain inet cut o { type filter hook output priority 0; }',
    'add rule inet cut o ip daddr 10.213.7.11 tcp dport 80 drop',
  );
const mend = (edge: EdgeName) => nft(edge, 'delete table inet cut');
const untilAnswered = () =>
  waitFor(
    'answers',
    () => stage.ask(),
    (answer) => answer.startsWith('web-0'),
    90_000,
    200,
  );

beforeAll(async () => {
  await stage.up();
  await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
  for (const edge of EDGES) stage.startKeeper(edge);
  stage.tell('a', goalOf('a'));
  await stage.until('a', 'the address', (report) => report.held.includes(VIP) && isUp(report));
  stage.tell('b', goalOf('b'));
  await stage.until('b', 'the backend', isUp);
  await untilAnswered();
});
afterAll(() => stage.down());

it('an address goes from a host that reaches no backend to one that does, and some host has it where none does', async () => {
  await cut('a');
  await stage.until('b', 'the address', ({ held }) => held.includes(VIP));
  await untilAnswered();
  await cut('b');
  await stage.until('b', 'no backend', (report) => !isUp(report));
  await waitFor(
    'the address to be somewhere',
    () => stage.ask(),
    (answer) => answer.includes('503'),
    60_000,
  );
  await mend('b');
  await untilAnswered();
  expect(await stage.hasAddress('b', VIP)).toBe(true);
});
