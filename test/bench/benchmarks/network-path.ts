import { mkdtemp, rm } from 'node:fs/promises';
import type { Benchmark, Measurement } from '../contract.ts';
import { inNamespace, reusePorts } from '../network/generators.ts';
import { client, OurHosts, REQUEST_PORT, server, THROUGHPUT_PORT } from '../network/our-hosts.ts';
import { type Readings, ratioOf, takeRounds } from '../network/pairs.ts';
import { PATH_READS, type PathRead } from '../network/path-reads.ts';
import { PlainPath } from '../network/plain-path.ts';
import { serve } from '../network/programs.ts';
import { startWebServer } from '../network/web-server.ts';
import { median } from '../statistics.ts';

const ROUNDS = 7;
const SECONDS = 2;
/** `tracked` is the plain one, with a single rule that asks for the state of a connection on each host: what any firewall costs that knows connections. */
const PATHS = ['ours', 'plain', 'tracked'] as const;
type Path = (typeof PATHS)[number];

/** From a guest to a guest on another host, with our links and rules, and with links made by hand and none. */
export const networkPath: Benchmark = {
  name: 'network-path',
  about:
    'throughput and requests between guests of two hosts, by our rules, by a plain VXLAN, and by one behind a firewall of one rule',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-path-');
    const hosts = new OurHosts();
    const plain = new PlainPath(hosts.stage);
    try {
      await hosts.open();
      await plain.open();
      const ways = {
        ours: { from: client.id, to: server.id, address: server.address },
        plain: { from: plain.near.guest, to: plain.far.guest, address: plain.far.address },
      };
      for (const { from, to } of Object.values(ways)) {
        await reusePorts(inNamespace(hosts.namespaceOf(from)));
        await serve(hosts.namespaceOf(to), THROUGHPUT_PORT, ['iperf3', '--server']);
        await startWebServer(folder, hosts.namespaceOf(to), REQUEST_PORT);
      }
      const measured: Measurement[] = [];
      for (const what of PATH_READS) {
        const by = ({ from, address }: (typeof ways)['ours']) =>
          what.read(inNamespace(hosts.namespaceOf(from)), address, SECONDS);
        const readings = await takeRounds(rounds ?? ROUNDS, PATHS, (path) =>
          path === 'tracked' ? plain.behindFirewall(() => by(ways.plain)) : by(ways[path]),
        );
        say(
          `${what.what}, ${what.unit}: ${PATHS.map((path) => `${path} ${median(readings[path]).toFixed(1)}`).join(', ')}`,
        );
        measured.push(measure(what, readings));
      }
      return measured;
    } finally {
      await hosts.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const measure = ({ what, unit, about }: PathRead, readings: Readings<Path>): Measurement => ({
  benchmark: `network-path, ${what}`,
  unit: '× plain VXLAN',
  value: ratioOf(readings, 'ours', 'plain'),
  target: { limit: 0.9, better: 'higher' },
  readings: {
    [`plain ${unit}`]: readings.plain,
    [`plain, one rule ${unit}`]: readings.tracked,
    [`weft ${unit}`]: readings.ours,
  },
  note: `${about}; a plain VXLAN behind one rule that asks for connections: ${ratioOf(readings, 'tracked', 'plain').toFixed(2)} × plain, and Weft ${ratioOf(readings, 'ours', 'tracked').toFixed(2)} × that`,
});
