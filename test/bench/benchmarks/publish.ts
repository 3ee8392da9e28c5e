import { mkdtemp, rm } from 'node:fs/promises';
import type { Benchmark, Measurement } from '../contract.ts';
import { anEndpoint, EdgeServer } from '../network/edge-server.ts';
import { backend, OurHosts, REQUEST_PORT } from '../network/our-hosts.ts';
import { startWebServer } from '../network/web-server.ts';
import { median } from '../statistics.ts';

const ROUNDS = 20;
const FURTHER_PORT = 9_100;

/** From the goal that names a backend, at the edge host's agent, to the first request that it answers. */
export const publish: Benchmark = {
  name: 'publish',
  about: 'from an edge host’s goal with a new backend to the first request that it answers',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-publish-');
    const hosts = new OurHosts();
    let edge: EdgeServer | null = null;
    try {
      await hosts.open();
      await startWebServer(folder, hosts.namespaceOf(backend.id), REQUEST_PORT);
      edge = await EdgeServer.start(hosts);
      const count = rounds ?? ROUNDS;
      const backends = await addBackends(edge, count);
      say(`a backend is served after ${median(backends).toFixed(0)} ms`);
      const endpoints = await addEndpoints(edge, Math.ceil(count / 4));
      say(`an endpoint is served after ${median(endpoints).toFixed(0)} ms`);
      return [
        measure('a backend', backends, 'the endpoint is there without one'),
        measure(
          'an endpoint',
          endpoints,
          'a further endpoint with its backend: HAProxy checks its configuration and is reloaded',
        ),
      ];
    } finally {
      await hosts.close();
      await edge?.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function addBackends(edge: EdgeServer, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    edge.tell({ addresses: [], endpoints: [anEndpoint([])] });
    await edge.untilNobodyServes();
    times.push(await timeOf(edge, () => edge.tell({ addresses: [], endpoints: [anEndpoint([round])] })));
  }
  return times;
}

async function addEndpoints(edge: EdgeServer, rounds: number): Promise<number[]> {
  const times: number[] = [];
  const endpoints = [anEndpoint([rounds + 1])];
  for (let round = 0; round < rounds; round++) {
    const port = FURTHER_PORT + round;
    endpoints.push(anEndpoint([1], port));
    times.push(await timeOf(edge, () => edge.tell({ addresses: [], endpoints: [...endpoints] }), port));
  }
  return times;
}

async function timeOf(edge: EdgeServer, begin: () => void, port?: number): Promise<number> {
  const startedMs = performance.now();
  begin();
  await edge.untilServed(port);
  return performance.now() - startedMs;
}

const measure = (what: string, times: readonly number[], note: string): Measurement => ({
  benchmark: `publish, ${what}`,
  unit: 'ms',
  value: median(times),
  target: { limit: 200, better: 'lower' },
  readings: { ms: times },
  note: `from the goal at the edge host’s agent to the first answer from a client in the world; ${note}`,
});
