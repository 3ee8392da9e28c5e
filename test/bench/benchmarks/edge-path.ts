import { mkdtemp, rm } from 'node:fs/promises';
import { EDGE, underlayOf } from '../../contract/network/fleet.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { anEndpoint, EdgeServer } from '../network/edge-server.ts';
import { inNamespace, requestRate, reusePorts } from '../network/generators.ts';
import { backend, OurHosts, REQUEST_PORT } from '../network/our-hosts.ts';
import { type Readings, ratioOf, takeRounds } from '../network/pairs.ts';
import { PlainPath } from '../network/plain-path.ts';
import { startPlainBalancer, startWebServer } from '../network/web-server.ts';
import { median } from '../statistics.ts';

const ROUNDS = 5;
const SECONDS = 2;
const CONNECTIONS = 32;
const LOADS = [
  { what: 'requests', anew: false },
  { what: 'connections', anew: true },
];
const PATHS = ['ours', 'plain HAProxy', 'all plain'] as const;
type Path = (typeof PATHS)[number];
const CLIENTS = `wrk, ${CONNECTIONS} clients; connections: one for each request`;
const BASELINES = [
  {
    path: 'plain HAProxy',
    note: `${CLIENTS}; beside a HAProxy of little configuration on the same host, with the same backend by the same rules`,
  },
  {
    path: 'all plain',
    note: `${CLIENTS}; beside such a HAProxy on a host without rules, with a backend of its own by a VXLAN made by hand`,
  },
] as const;

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
      const balance = (host: string, address: string) =>
        startPlainBalancer(folder, hosts.namespaceOf(host), REQUEST_PORT, `${address}:${REQUEST_PORT}`);
      await balance(EDGE, backend.address);
      await balance(plain.near.host, plain.far.address);
      edge = await EdgeServer.start(hosts);
      edge.tell({ addresses: [], endpoints: [anEndpoint([1])] });
      await edge.untilServed();
      const urls = {
        ours: edge.url,
        'plain HAProxy': `http://${underlayOf(EDGE)}:${REQUEST_PORT}/`,
        'all plain': `http://${plain.near.underlay}:${REQUEST_PORT}/`,
      };
      const world = inNamespace(hosts.namespaceOf('world'));
      await reusePorts(world);
      const measured: Measurement[] = [];
      for (const { what, anew } of LOADS) {
        const load = { connections: CONNECTIONS, anew, seconds: SECONDS };
        const readings = await takeRounds(rounds ?? ROUNDS, PATHS, (path) =>
          requestRate(world, urls[path], load),
        );
        say(
          `${what} a second: ${PATHS.map((path) => `${path} ${median(readings[path]).toFixed(0)}`).join(', ')}`,
        );
        measured.push(...measure(what, readings));
      }
      return measured;
    } finally {
      await hosts.close();
      await edge?.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const measure = (what: string, readings: Readings<Path>): Measurement[] =>
  BASELINES.map(({ path, note }) => ({
    benchmark: `edge-path, ${what} beside ${path}`,
    unit: `× ${path}`,
    value: ratioOf(readings, 'ours', path),
    target: { limit: 0.95, better: 'higher' },
    readings: { [`${path} /s`]: readings[path], 'weft /s': readings.ours },
    note,
  }));
