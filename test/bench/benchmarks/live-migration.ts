import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { PlainGuest } from '../plain-guest.ts';
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

/** The same guest, moved by Weft through its tunnel, and by `virsh migrate` straight from host to host. */
export const liveMigration: Benchmark = {
  name: 'live-migration',
  about: 'a running machine is moved to another host and back, against plain virsh migrate of the same guest',
  async run({ rounds, say }) {
    const fleet = await BenchFleet.up('bench-move', 2, say, { shared: [POOL] });
    try {
      await fleet.build('tiny', say);
      await fleet.timeToReady('mover', MODEL, 2);
      const plain = await PlainGuest.like(fleet, ID);
      const [bare, weft]: [Reading[], Reading[]] = [[], []];
      for (let round = 0; round < (rounds ?? ROUNDS); round++) {
        weft.push(await move(fleet));
        bare.push(await plain.move());
        say(`move ${round + 1}: virsh ${inWords(bare.at(-1))}, weft ${inWords(weft.at(-1))}`);
      }
      await plain.remove();
      const measure = (what: string, key: keyof Reading, limit: number, note: string) => {
        const [ours, theirs] = [weft, bare].map((readings) => readings.map((reading) => reading[key]));
        return {
          benchmark: `live-migration, ${what}`,
          unit: '× virsh migrate',
          value: pairedRatio(ours ?? [], theirs ?? []),
          target: { limit, better: 'lower' as const },
          readings: { 'virsh ms': theirs ?? [], 'weft ms': ours ?? [] },
          note,
        };
      };
      return [
        measure(
          'downtime',
          'downtimeMs',
          1.1,
          'how long the guest stood still, by libvirt’s own count on the host that took it',
        ),
        measure('total', 'totalMs', 1.1, 'how long the migration took, by the same count'),
        measure(
          'from asked to there',
          'wallMs',
          1.1,
          'virsh: the command; Weft: from the API call to the record that says the other host, with all that is made ready there before',
        ),
      ];
    } finally {
      await fleet.down();
    }
  },
};

const inWords = (reading: Reading | undefined) =>
  reading ? `${reading.downtimeMs} of ${reading.totalMs} ms (${reading.wallMs.toFixed(0)} in all)` : '-';

async function move({ api }: BenchFleet): Promise<Reading> {
  const before = await api.getVm(ID);
  const startedMs = performance.now();
  await api.moveVm(ID, { live: true });
  for (;;) {
    const { host, lastMove } = await api.getVm(ID);
    const wallMs = performance.now() - startedMs;
    if (host !== before.host && lastMove?.downtimeMs != null && lastMove.totalMs !== null)
      return { downtimeMs: lastMove.downtimeMs, totalMs: lastMove.totalMs, wallMs };
    if (wallMs > LIMIT_MS) throw new Error(`${ID} has not moved within ${LIMIT_MS} ms`);
    await sleep(20);
  }
}
