import { expect, test } from 'vitest';
import { Paced } from '../../../agent/kit/paced.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';

test('what is asked for without end is done once in a while, and what is asked for last is done', async () => {
  const clock = new VirtualClock();
  const turns: number[] = [];
  const paced = new Paced(clock, { settleMs: 100, pauseMs: 1_000 }, () => turns.push(clock.now()));
  for (let atMs = 0; atMs < 5_000; atMs += 50) {
    paced.ask();
    await clock.advance(50);
  }
  await clock.advance(10_000);
  expect(turns).toEqual([100, 1_100, 2_100, 3_100, 4_100, 5_100]);
  paced.ask();
  await clock.advance(100);
  expect(turns).toHaveLength(7);
  paced.ask();
  paced.stop();
  await clock.advance(10_000);
  expect(turns).toHaveLength(7);
});
