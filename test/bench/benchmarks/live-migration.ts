import { performance } from 'node:perf_hooks';
import type { VmDetail } from '../../../controller/client/index.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { PlainGuest, type PlainWay } from '../plain-guest.ts';
import { isQuiet } from '../quiet.ts';
import { pairedRatio } from '../statistics.ts';

const ROUNDS = 5;
const POOL = 'san';
const SIZE = '{cpus: 1, memory: 128MiB, disk: 256MiB}';
const ID = 'mover/one';
/** Two machines, one on each host: so both have their subnet. */
const MODEL = `
apiVersion: weft/v1
kind: Application
name: mover
machines:
  one: {image: "tiny:stable", size: ${SIZE}, pool: ${POOL}}
  two: {image: "tiny:stable", size: ${SIZE}, pool: ${POOL}}
`;
const LIMIT_MS = 120_000;

interface Reading {
  readonly downtimeMs: number;
  readonly totalMs: number;
  readonly wallMs: number;
}
type Readings = Record<'weft' | PlainWay, Reading[]>;

/** What the hosts are wired with: the machine's own memory, which no two real hosts have between them, and a network that they may have. */
const LINKS = [
  { name: 'no limit', rate: null },
  { name: '1 Gbit/s', rate: '1gbit' },
] as const;

/** The same guest, moved by Weft over the fleet's TLS, and by `virsh migrate` as it is, unencrypted. */
export const liveMigration: Benchmark = {
  name: 'live-migration',
  about: 'a running machine is moved to another host and back, against plain virsh migrate of the same guest',
  async run({ rounds, say }) {
    const fleet = await BenchFleet.up('bench-move', 2, say, { shared: [POOL] });
    try {
      await fleet.build('tiny', say);
      await fleet.timeToReady('mover', MODEL, 2);
      const plain = {
        still: await PlainGuest.like(fleet, ID, 'still'),
        live: await PlainGuest.like(fleet, ID, 'live'),
      };
      await Promise.all([plain.still.hold(), plain.live.hold()]);
      const measurements: Measurement[] = [];
      for (const link of LINKS) {
        await limitLinks(fleet, link.rate);
        const readings: Readings = { weft: [], still: [], live: [] };
        for (let round = 0; round < (rounds ?? ROUNDS); round++) {
          await settle(say);
          readings.weft.push(await move(fleet, say));
          for (const way of ['still', 'live'] as const) readings[way].push(await moveAlone(plain[way], say));
          const told = Object.entries(readings).map(([who, read]) => `${who} ${inWords(read.at(-1))}`);
          say(`${link.name}, move ${round + 1}: ${told.join(', ')}`);
        }
        measurements.push(...ratios(link.name, readings, plain.still.wayOfWeft));
      }
      for (const way of ['still', 'live'] as const) await plain[way].remove();
      return measurements;
    } finally {
      await fleet.down();
    }
  },
};

/** @param own how Weft moves a guest of this kind: what is compared is a guest of which the same is asked. */
function ratios(link: string, { weft, ...plain }: Readings, own: PlainWay): Measurement[] {
  const measure = (what: string, way: PlainWay, key: keyof Reading, note: string): Measurement => {
    const [ours, theirs] = [weft, plain[way]].map((readings) => readings.map((reading) => reading[key]));
    return {
      benchmark: `live-migration, ${link}: ${what}`,
      unit: '× virsh migrate',
      value: pairedRatio(ours ?? [], theirs ?? []),
      target: { limit: 1.1, better: 'lower' },
      readings: { 'virsh ms': theirs ?? [], 'weft ms': ours ?? [] },
      note,
    };
  };
  const stood = 'how long the guest stood still, by libvirt’s own count on the host that took it';
  return [
    measure('downtime', own, 'downtimeMs', stood),
    measure('total', own, 'totalMs', 'how long the migration took, by the same count'),
    measure(
      'from asked to there',
      own,
      'wallMs',
      'virsh: the command; Weft: from the API call to the record that says the other host, with all that is made ready there before',
    ),
    ...(own === 'live'
      ? []
      : [
          measure('downtime beside --live', 'live', 'downtimeMs', `${stood}; an emulated one is not safe so`),
          measure('total beside --live', 'live', 'totalMs', 'the same guest of virsh, which ran on'),
        ]),
  ];
}

const inWords = (reading: Reading | undefined) =>
  reading ? `${reading.downtimeMs} of ${reading.totalMs} ms (${reading.wallMs.toFixed(0)} in all)` : '-';

async function limitLinks({ lab }: BenchFleet, rate: string | null): Promise<void> {
  if (rate === null) return;
  for (const { name } of (await lab.state()).hosts)
    await lab.exec(name, [
      ...['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf'],
      ...['rate', rate, 'burst', '256kb', 'latency', '20ms'],
    ]);
}

async function settle(say: (line: string) => void): Promise<void> {
  if (!(await isQuiet())) say('this machine does not get quiet: it goes on as it is');
}

/** The other ones of the baseline stand still meanwhile. */
async function moveAlone(guest: PlainGuest, say: (line: string) => void): Promise<Reading> {
  await guest.letGo();
  await settle(say);
  const reading = await guest.move();
  await guest.hold();
  return reading;
}

/** Told by the changes that clients follow: whoever asks again and again takes the time of what it measures. */
async function move({ api }: BenchFleet, say: (line: string) => void): Promise<Reading> {
  const changes = api.followChanges();
  const limit = setTimeout(() => void changes.return(undefined), LIMIT_MS);
  const { host: from } = await api.getVm(ID);
  let startedMs = Number.NaN;
  try {
    for await (const { event, data } of changes) {
      if (event === 'synced') {
        startedMs = performance.now();
        await api.moveVm(ID, { live: true });
      }
      if (event !== 'vm') continue;
      const { id, host, lastMove } = data as Pick<VmDetail, 'id' | 'host' | 'lastMove'>;
      if (id !== ID || host === from || lastMove?.downtimeMs == null || lastMove.totalMs === null) continue;
      const wallMs = performance.now() - startedMs;
      if (lastMove.way !== 'direct') say('this move went through the controller');
      return { downtimeMs: lastMove.downtimeMs, totalMs: lastMove.totalMs, wallMs };
    }
  } finally {
    clearTimeout(limit);
  }
  throw new Error(`${ID} has not moved within ${LIMIT_MS} ms`);
}
