import { mkdtemp, rm } from 'node:fs/promises';
import type { Benchmark, Measurement } from '../contract.ts';
import { requestRate, reusePorts, throughput } from '../network/generators.ts';
import { client, OurHosts, REQUEST_PORT, server, THROUGHPUT_PORT } from '../network/our-hosts.ts';
import { type Readings, ratioOf, takeRounds } from '../network/pairs.ts';
import { PlainPath } from '../network/plain-path.ts';
import { serve } from '../network/programs.ts';
import { startWebServer } from '../network/web-server.ts';
import { median } from '../statistics.ts';

const ROUNDS = 7;
const SECONDS = 2;
const PATHS = ['ours', 'plain'] as const;
type Path = (typeof PATHS)[number];

/** From a guest to a guest on another host, with our links and rules, and with links made by hand and none. */
export const networkPath: Benchmark = {
  name: 'network-path',
  about: 'throughput and requests between guests of two hosts, by our rules and by a plain VXLAN',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-path-');
    const hosts = new OurHosts();
    const plain = new PlainPath(hosts.stage);
    try {
      await hosts.open();
      await plain.open();
      const paths = {
        ours: { from: client.id, to: server.id, address: server.address },
        plain: { from: plain.near.guest, to: plain.far.guest, address: plain.far.address },
      };
      for (const { from, to } of Object.values(paths)) {
        await reusePorts(hosts.namespaceOf(from));
        await serve(hosts.namespaceOf(to), THROUGHPUT_PORT, ['iperf3', '--server']);
        await startWebServer(folder, hosts.namespaceOf(to), REQUEST_PORT);
      }
      const requests = (anew: boolean) => (path: Path) =>
        requestRate(hosts.namespaceOf(paths[path].from), `http://${paths[path].address}:${REQUEST_PORT}/`, {
          connections: 1,
          anew,
          seconds: SECONDS,
        });
      const count = rounds ?? ROUNDS;
      const bulk = await takeRounds(count, PATHS, (path) =>
        throughput(hosts.namespaceOf(paths[path].from), paths[path].address, THROUGHPUT_PORT, SECONDS),
      );
      say(`throughput, Gbit/s: ${inWords(bulk)}`);
      const kept = await takeRounds(count, PATHS, requests(false));
      say(`requests one after the other, a second: ${inWords(kept)}`);
      const anew = await takeRounds(count, PATHS, requests(true));
      say(`connections one after the other, a second: ${inWords(anew)}`);
      return [
        measure('throughput', 'Gbit/s', bulk, 'one TCP connection, as iperf3’s receiver counts'),
        measure(
          'requests',
          '/s',
          kept,
          'wrk, one after the other on one connection: what counts is how long each takes',
        ),
        measure('connections', '/s', anew, 'the same with a connection for each request'),
      ];
    } finally {
      await hosts.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const inWords = ({ ours, plain }: Readings<Path>) =>
  `${median(ours).toFixed(1)} and ${median(plain).toFixed(1)}`;

const measure = (what: string, unit: string, readings: Readings<Path>, note: string): Measurement => ({
  benchmark: `network-path, ${what}`,
  unit: '× plain VXLAN',
  value: ratioOf(readings, 'ours', 'plain'),
  target: { limit: 0.9, better: 'higher' },
  readings: { [`plain ${unit}`]: readings.plain, [`weft ${unit}`]: readings.ours },
  note,
});
