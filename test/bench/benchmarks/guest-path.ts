import { Weft } from '../../support/weft.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { reusePorts } from '../network/generators.ts';
import {
  inGuest,
  installTools,
  packTools,
  type RunInGuest,
  startServers,
  withTools,
} from '../network/guest-tools.ts';
import { REQUEST_PORT, THROUGHPUT_PORT } from '../network/our-hosts.ts';
import { type Readings, ratioOf, takeRounds } from '../network/pairs.ts';
import { PATH_READS, type PathRead } from '../network/path-reads.ts';
import { PlainGuests } from '../network/plain-guests.ts';
import { PLAIN_MTU } from '../network/plain-path.ts';
import { isQuiet } from '../quiet.ts';
import { median } from '../statistics.ts';

const ROUNDS = 7;
const SECONDS = 4;
const PATHS = ['ours', 'plain'] as const;
type Path = (typeof PATHS)[number];
const CLIENT = 'path/client-0';
const SERVER = 'path/server-0';
const DISK_MIB = 256;
const SIZE = `{cpus: 1, memory: 192MiB, disk: ${DISK_MIB}MiB}`;
const MODEL = `
apiVersion: weft/v1
kind: Application
name: path
roles:
  client: {kind: worker, image: "tiny:stable", size: ${SIZE}, instances: 1}
  server:
    kind: worker
    image: "tiny:stable"
    size: ${SIZE}
    instances: 1
    endpoints:
      throughput: {type: internal, port: ${THROUGHPUT_PORT}, from: [client]}
      requests: {type: internal, port: ${REQUEST_PORT}, from: [client]}
`;

/** From a real guest to one on another host: through all that Weft has there, and between two bare QEMUs over a VXLAN made by hand. */
export const guestPath: Benchmark = {
  name: 'guest-path',
  about:
    'throughput and requests between real guests of two lab hosts, beside bare QEMUs and a VXLAN made by hand without rules',
  async run({ rounds, say }) {
    const fleet = await BenchFleet.up('bench-path', 2, say);
    const plainGuests = new PlainGuests();
    try {
      await fleet.build('tiny', say);
      await fleet.timeToReady('path', MODEL, 2);
      const ours = await guestsOf(fleet);
      const plain = await plainGuests.open(await fleet.patternOf(CLIENT, DISK_MIB));
      const tools = await packTools();
      for (const { near, far } of [ours, plain]) {
        for (const run of [near, far]) await installTools(run, tools);
        await startServers(far);
        await reusePorts(inGuest(near));
      }
      const measured: Measurement[] = [];
      for (const what of PATH_READS) {
        const readings = await takeRounds(rounds ?? ROUNDS, PATHS, async (path) => {
          if (!(await isQuiet())) say('this machine does not get quiet: it goes on as it is');
          const { near, address } = { ours, plain }[path];
          const run = inGuest(near);
          return what.read((command) => run(withTools(command)), address, SECONDS);
        });
        say(
          `${what.what}, ${what.unit}: ${PATHS.map((path) => `${path} ${median(readings[path]).toFixed(2)}`).join(', ')}`,
        );
        measured.push(measure(what, readings));
      }
      return measured;
    } finally {
      await plainGuests.close();
      await fleet.down();
    }
  },
};

/** @throws Error when both are on one host, or have another MTU than those of the plain path. */
async function guestsOf(fleet: BenchFleet) {
  const weft = new Weft(fleet.lab.layout.clientConfig);
  const [client, server] = await Promise.all([fleet.detail(CLIENT), fleet.detail(SERVER)]);
  if (client.host === server.host || server.address === null)
    throw new Error(`${CLIENT} and ${SERVER} are both on ${client.host}`);
  const shell =
    (id: string): RunInGuest =>
    (command, input) =>
      weft.ok(['ssh', id, '--', command], input === undefined ? {} : { input });
  const near = shell(CLIENT);
  const mtu = Number(await near('cat /sys/class/net/eth0/mtu'));
  if (mtu !== PLAIN_MTU) throw new Error(`${CLIENT} has an MTU of ${mtu}, not of ${PLAIN_MTU}`);
  return { near, far: shell(SERVER), address: server.address };
}

const measure = ({ what, unit, about }: PathRead, readings: Readings<Path>): Measurement => ({
  benchmark: `guest-path, ${what}`,
  unit: '× bare QEMU, plain VXLAN',
  value: ratioOf(readings, 'ours', 'plain'),
  target: { limit: 0.9, better: 'higher' },
  readings: { [`plain ${unit}`]: readings.plain, [`weft ${unit}`]: readings.ours },
  note: `${about}; from a guest on one host to a guest on another one`,
});
