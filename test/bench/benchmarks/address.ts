import { setTimeout as sleep } from 'node:timers/promises';
import type { PublishedEndpoint } from '../../../agent/protocol/index.ts';
import { type EdgeName, EdgeStage, VIP } from '../../contract/edge/stage.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Benchmark } from '../contract.ts';

const ROUNDS = 5;
/** In which the other host has long begun to listen to the one that has the address. */
const SETTLED_MS = 3_000;
const PEERS = { a: ['10.213.7.2'], b: ['10.213.7.1'] } as const;
const OTHER = { a: 'b', b: 'a' } as const;
const ENDPOINT: PublishedEndpoint = {
  ...{ id: 'crm/web/http', addresses: [VIP], port: 80, protocol: 'http', proxyProtocol: false },
  backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 80, state: 'ready' }],
};

/** The host that has a public address dies, with all that runs there, and its link: how long nobody takes connections at the address. */
export const address: Benchmark = {
  name: 'address',
  about: 'the host of a public address dies: until connections are taken there by another one',
  async run({ rounds, say }) {
    const outages: number[] = [];
    for (let round = 0; round < (rounds ?? ROUNDS); round++) {
      const outageMs = await outage();
      say(`nobody took connections for ${outageMs.toFixed(0)} ms`);
      outages.push(outageMs);
    }
    return [
      {
        benchmark: 'address',
        unit: 'ms',
        value: Math.max(...outages),
        target: { limit: 3_000, better: 'lower' },
        readings: { ms: outages },
        note: 'the longest time between two connections that a client in the world had taken, around the death of the address’s host, one of two in namespaces; the figure is the slowest of all',
      },
    ];
  },
};

/** Each in a network of its own: what has died does not come back. */
async function outage(): Promise<number> {
  const stage = new EdgeStage();
  await stage.up();
  try {
    await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
    for (const edge of ['a', 'b'] as const) begin(stage, edge);
    for (const edge of ['a', 'b'] as const)
      await stage.until(edge, 'the endpoint', ({ endpoints }) => endpoints[0]?.state === 'served');
    const holder = await holderOf(stage);
    await sleep(SETTLED_MS);
    await stage.world('connects', { host: VIP });
    await stage.ask();
    await stage.kill(holder);
    await waitFor('the other to have it', () => stage.hasAddress(OTHER[holder], VIP), Boolean, 30_000, 20);
    await stage.ask();
    return await stage.world<number>('connects', { name: 'end' });
  } finally {
    await stage.down();
  }
}

function begin(stage: EdgeStage, edge: EdgeName): void {
  const priority = edge === 'a' ? 200 : 100;
  const shared = { address: VIP, prefix: 24, routerId: 41, priority, peers: [...PEERS[edge]] };
  stage.startKeeper(edge);
  stage.tell(edge, { addresses: [shared], endpoints: [ENDPOINT] });
}

/** Both have it for a moment while they come up. */
async function holderOf(stage: EdgeStage): Promise<EdgeName> {
  const [a] = await waitFor(
    'one host to have the address',
    async () => [await stage.hasAddress('a', VIP), await stage.hasAddress('b', VIP)],
    ([inA, inB]) => inA !== inB,
    60_000,
  );
  return a ? 'a' : 'b';
}
