import { mkdtemp, rm } from 'node:fs/promises';
import type { Benchmark, Measurement } from '../contract.ts';
import { anEndpoint, EdgeServer } from '../network/edge-server.ts';
import { requestRate } from '../network/generators.ts';
import { backend, OurHosts, REQUEST_PORT } from '../network/our-hosts.ts';
import { type Readings, ratioOf, takePairs } from '../network/pairs.ts';
import { PlainPath } from '../network/plain-path.ts';
import { startPlainBalancer, startWebServer } from '../network/web-server.ts';
import { median } from '../statistics.ts';

const ROUNDS = 7;
const SECONDS = 3;
const CONNECTIONS = 32;

/** From the world through the load balancer to a guest on another host: ours, and a plain one over a plain path. */
export const edgePath: Benchmark = {
  name: 'edge-path',
  about: 'requests through our load balancer and rules, and through a plain HAProxy and VXLAN',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-edge-path-');
    const hosts = new OurHosts();
    const plain = new PlainPath(hosts.stage);
    let edge: EdgeServer | null = null;
    try {
      await hosts.open();
      await plain.open();
      for (const where of [backend.id, plain.far.guest])
        await startWebServer(folder, hosts.namespaceOf(where), REQUEST_PORT);
      const target = `${plain.far.address}:${REQUEST_PORT}`;
      await startPlainBalancer(folder, hosts.namespaceOf(plain.near.host), REQUEST_PORT, target);
      edge = await EdgeServer.start(hosts);
      edge.tell({ addresses: [], endpoints: [anEndpoint([1])] });
      await edge.untilServed();
      const urls = { ours: edge.url, plain: `http://${plain.near.underlay}:${REQUEST_PORT}/` };
      const read = (anew: boolean) => (path: keyof Readings) =>
        requestRate(hosts.namespaceOf('world'), urls[path], {
          connections: CONNECTIONS,
          anew,
          seconds: SECONDS,
        });
      const kept = await takePairs(rounds ?? ROUNDS, read(false));
      say(`requests a second: ${inWords(kept)}`);
      const anew = await takePairs(rounds ?? ROUNDS, read(true));
      say(`requests with a connection each, a second: ${inWords(anew)}`);
      return [
        measure('requests', kept, `wrk, ${CONNECTIONS} clients that keep their connections`),
        measure('connections', anew, `the same, with a connection for each request`),
      ];
    } finally {
      await plain.close();
      await hosts.close();
      await edge?.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const inWords = ({ ours, plain }: Readings) => `${median(ours).toFixed(0)} and ${median(plain).toFixed(0)}`;

const measure = (what: string, readings: Readings, note: string): Measurement => ({
  benchmark: `edge-path, ${what}`,
  unit: '× plain HAProxy',
  value: ratioOf(readings),
  target: { limit: 0.95, better: 'higher' },
  readings: { 'plain /s': readings.plain, 'weft /s': readings.ours },
  note,
});
