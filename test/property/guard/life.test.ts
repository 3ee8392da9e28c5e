import { expect, test } from 'vitest';
import { Random } from '../../simulation/support/random.ts';
import { Life, STEP_MS } from './life.ts';

const LASTS_MS = 120_000;
const RUNS = Number(process.env.WEFT_RUNS ?? 150);
const FIRST_SEED = Number(process.env.WEFT_SEED ?? 1);

/** All is well again: what comes after is not the end of what came before. */
const MENDS = [
  ...['mend', 'mend disk', 'power on', 'continue agent', 'continue guard', 'start guard', 'start controller'],
];

/** @returns what became of one life; with `isTwice` the faults that led to it. */
async function live(seed: number, hasteMs = 0) {
  const random = new Random(seed);
  const life = await Life.begin(random, hasteMs);
  const names = Object.keys(life.faults);
  // First it comes to run in peace; at the end it is cut off, and often cannot stop its machine, so that many deaths come to be proven.
  const quietMs = 8_000;
  const lastCutMs = LASTS_MS - 50_000;
  const story: string[] = [];
  for (let ms = 0; ms < LASTS_MS; ms += STEP_MS) {
    if (ms === lastCutMs - 15_000) for (const name of MENDS) life.faults[name]?.();
    if (ms === lastCutMs) {
      const more = random.pick(['hang disk', 'hang disk', 'pause guard', 'kill agent']) ?? '';
      for (const name of ['cut', more]) life.faults[name]?.();
      story.push(`${ms} cut, ${more}`);
    }
    if (ms > quietMs && random.chance(0.015)) {
      const name = random.pick(names) ?? 'cut';
      if (name !== 'mend' || ms < lastCutMs) {
        life.faults[name]?.();
        story.push(`${ms} ${name}`);
      }
    }
    await life.step();
    if (life.isTwice) return { isProven: true, isTwice: true, story: [...story, `${ms} twice`] };
  }
  return { isProven: life.isProven, isTwice: false, story };
}

const seeds = Array.from({ length: RUNS }, (_, index) => FIRST_SEED + index);

test('no machine lives on a host whose death a lease has proven, whatever is killed, held up or cut off', async () => {
  let proven = 0;
  for (const seed of seeds) {
    const { isProven, isTwice, story } = await live(seed);
    expect(isTwice, `WEFT_SEED=${seed} WEFT_RUNS=1: ${story.join(', ')}`).toBe(false);
    if (isProven) proven++;
  }
  // It is no proof of anything if nothing was proven.
  if (RUNS > 20) expect(proven).toBeGreaterThan(RUNS / 10);
});

test('a controller that is too hasty by the margin and the timeout is found out', async () => {
  let twice = 0;
  for (const seed of seeds.slice(0, 100)) if ((await live(seed, 17_000)).isTwice) twice++;
  expect(twice).toBeGreaterThan(0);
});
