import { bootBareGuests } from '../bare/guests.ts';
import type { Benchmark, BenchmarkOptions, Measurement } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { median, pairedRatio } from '../statistics.ts';

interface Guest {
  readonly recipe: string;
  readonly size: string;
  readonly diskMiB: number;
  readonly rounds: number;
}

const GUESTS: readonly Guest[] = [
  { recipe: 'tiny', size: '{cpus: 1, memory: 128MiB, disk: 256MiB}', diskMiB: 256, rounds: 7 },
  { recipe: 'debian', size: '{cpus: 1, memory: 768MiB, disk: 4GiB}', diskMiB: 4096, rounds: 5 },
];
const LIMIT = 1.15;

const model = ({ recipe, size }: Guest) => `
apiVersion: weft/v1
kind: Application
name: bench
roles:
  one: {kind: worker, image: "${recipe}:stable", size: ${size}, instances: 1}
`;

/** One instance on a fabric at rest, its image on the host: the controller's and the agent's own share of a boot. */
export const bootOne: Benchmark = {
  name: 'boot-one',
  about: 'one tiny and one debian instance, apply to ready, against bare QEMU to its first SSH command',
  async run(options) {
    const fleet = await BenchFleet.up('bench-one', 1, options.say);
    try {
      const measurements: Measurement[] = [];
      for (const guest of GUESTS) {
        await fleet.build(guest.recipe, options.say);
        measurements.push(await compare(fleet, guest, options));
      }
      return measurements;
    } finally {
      await fleet.down();
    }
  },
};

async function compare(
  fleet: BenchFleet,
  guest: Guest,
  { rounds, say }: BenchmarkOptions,
): Promise<Measurement> {
  // The first one brings the image to the host, and shows how its QEMU is started.
  await fleet.timeToReady('bench', model(guest), 1);
  const pattern = await fleet.patternOf('bench/one-0', guest.diskMiB);
  await fleet.remove('bench');
  const bare: number[] = [];
  const weft: number[] = [];
  for (let round = 0; round < (rounds ?? guest.rounds); round++) {
    bare.push(...(await bootBareGuests(pattern, 1)));
    weft.push(await fleet.timeToReady('bench', model(guest), 1));
    const { steps } = await fleet.detail('bench/one-0');
    const parts = steps.find((step) => step.name === 'boot')?.parts ?? [];
    say(
      `${guest.recipe} ${round + 1}: bare ${bare.at(-1)?.toFixed(0)} ms, weft ${weft.at(-1)?.toFixed(0)} ms (${parts.map((part) => `${part.name} ${part.ms}`).join(', ')})`,
    );
    await fleet.remove('bench');
  }
  return {
    benchmark: `boot-one ${guest.recipe}`,
    unit: '× bare QEMU',
    value: pairedRatio(weft, bare),
    target: { limit: LIMIT, better: 'lower' },
    readings: { 'bare ms': bare, 'weft ms': weft, 'difference ms': [median(weft) - median(bare)] },
    note: 'bare: the same command line without libvirt, overlay and seed ready, to its first SSH command; Weft: from the API call that applies the model to the change that says ready',
  };
}
