import { test } from 'vitest';
import { explore } from './support/explore.ts';
import type { Script, ScriptStep } from './support/script.ts';

const step = (afterMs: number, fault: ScriptStep['fault'], pick: number): ScriptStep => ({
  afterMs,
  fault,
  pick,
});

/**
 * A machine on a shared pool is deleted and declared again while its host hears late: that host still has the tombstone when another one
 * has made the new machine's disk at the same place.
 */
const SCRIPT: Script = [
  step(4_250, 'pool full', 205_663_365),
  step(6_250, 'controller killed', 598_451_432),
  step(2_500, 'libvirt killed', 1_881_422_216),
  step(4_000, 'pool full', 1_541_392_949),
  step(9_000, 'drain', 1_729_135_249),
  step(18_250, 'delete machine', 1_493_415_023),
  step(5_500, 'agent killed', 956_671_154),
  step(23_250, 'frames late', 716_808_410),
  step(10_000, 'delete machine', 764_152_759),
  step(6_250, 'controller started', 1_366_538_147),
  step(250, 'apply', 1_493_529_362),
  step(80_500, 'cut', 1_101_240_992),
  step(10_250, 'power off', 1_361_435_478),
];

test('a tombstone that is told late removes no disk of a later machine of the same name', async () => {
  await explore(SCRIPT, { seed: 5_189 });
});
