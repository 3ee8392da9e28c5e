import { performance } from 'node:perf_hooks';
import type { HostRow } from '../../../controller/client/index.ts';
import { bootBareGuests } from '../bare/guests.ts';
import type { Benchmark } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { pairedRatio } from '../statistics.ts';

const DISK_MIB = 256;
const COUNT = 20;
const ROUNDS = 2;
const HOME = 'h1';
const OTHERS = ['h2', 'h3'];
const LIMIT_MS = 900_000;
const model = `
apiVersion: weft/v1
kind: Application
name: leavers
roles:
  worker: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: ${DISK_MIB}MiB}, instances: ${COUNT}}
`;

/** Twenty instances leave one host for two others, each made there first: limited by boots, as far as Weft can help it. */
export const drainTwenty: Benchmark = {
  name: 'drain-twenty',
  about: 'a host with twenty tiny instances is drained, until it is empty, against twenty bare QEMUs',
  async run({ rounds, say }) {
    const fleet = await BenchFleet.up('bench-drain', 1 + OTHERS.length, say);
    try {
      await fleet.build('tiny', say);
      const bare: number[] = [];
      const weft: number[] = [];
      for (let round = 0; round < (rounds ?? ROUNDS); round++) {
        for (const host of OTHERS) await fleet.api.drainHost(host, { cold: false });
        await fleet.timeToReady('leavers', model, COUNT);
        const pattern = await fleet.patternOf('leavers/worker-0', DISK_MIB);
        for (const host of OTHERS) await fleet.api.undrainHost(host);
        weft.push(await timeToEmpty(fleet));
        await fleet.remove('leavers');
        await fleet.api.undrainHost(HOME);
        bare.push(Math.max(...(await bootBareGuests(pattern, COUNT))));
        say(
          `drain ${round + 1}: bare ${bare.at(-1)?.toFixed(0)} ms, weft ${weft.at(-1)?.toFixed(0)} ms to an empty host`,
        );
      }
      return [
        {
          benchmark: 'drain-twenty',
          unit: '× bare QEMU',
          value: pairedRatio(weft, bare),
          target: { limit: 1.3, better: 'lower' },
          readings: { 'bare ms': bare, 'weft ms': weft },
          note: 'bare: twenty QEMUs started at once, to the last one’s first SSH command; Weft: from the API call to the change that says the host in maintenance, every instance being ready elsewhere before it goes',
        },
      ];
    } finally {
      await fleet.down();
    }
  },
};

/** Drains the host. @returns milliseconds from the call until nothing is left on it. */
async function timeToEmpty(fleet: BenchFleet): Promise<number> {
  const changes = fleet.api.followChanges();
  const limit = setTimeout(() => void changes.return(undefined), LIMIT_MS);
  let startedMs = Number.NaN;
  try {
    for await (const { event, data } of changes) {
      if (event === 'synced') {
        startedMs = performance.now();
        await fleet.api.drainHost(HOME, { cold: false });
      }
      if (event !== 'host') continue;
      const { name, mode } = data as HostRow;
      if (name === HOME && mode === 'maintenance') return performance.now() - startedMs;
    }
  } finally {
    clearTimeout(limit);
  }
  throw new Error(`not empty within ${LIMIT_MS} ms: ${JSON.stringify(await fleet.api.drainProgress(HOME))}`);
}
