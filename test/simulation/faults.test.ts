import { describe, test } from 'vitest';
import { explore } from './support/explore.ts';
import { scriptOf } from './support/script.ts';

const FIRST_SEED = Number(process.env.WEFT_SEED ?? '1');
const RUNS = Number(process.env.WEFT_RUNS ?? '20');
const STEPS = 60;

describe('under faults, every invariant holds at every step and the end is what was asked for', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++)
    test(`seed ${seed}`, async () => {
      await explore(scriptOf(seed, STEPS), { seed });
    });

  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS / 4; seed++)
    test(`seed ${seed}, with a pool in Ceph`, async () => {
      await explore(scriptOf(seed, STEPS), { seed, hasCeph: true });
    });
});
