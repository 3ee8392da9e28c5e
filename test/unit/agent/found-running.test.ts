import { expect, test } from 'vitest';
import { VmState } from '../../../agent/executor/vm-state.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';

test('what was found running has a minute, from when it can be asked, to show that it still works', async () => {
  const clock = new VirtualClock(1_000);
  const state = new VmState('crm/web-0', 1, 0, clock);
  state.alive = true;
  state.phase = 'booting';
  await clock.advance(600_000);
  expect(state.report().foundRunning).toBe(true);
  let told = 0;
  const tell = () => {
    told += 1;
  };
  state.watched(tell);
  await clock.advance(59_999);
  expect(state.report().foundRunning).toBe(true);
  state.watched(tell);
  await clock.advance(1);
  expect(told).toBe(1);
  expect(state.report().foundRunning).toBeUndefined();
});

test('what is over tells nothing of the time that it had, and leaves nothing that runs', async () => {
  const clock = new VirtualClock(1_000);
  let told = 0;
  const tell = () => {
    told += 1;
  };
  const [watched, late] = [new VmState('crm/web-0', 1, 0, clock), new VmState('crm/web-1', 1, 0, clock)];
  watched.watched(tell);
  for (const state of [watched, late]) state.end();
  late.watched(tell);
  // Nothing is due any more: the clock goes on without a stop.
  expect(clock.fireNext(clock.now() + 600_000)).toBe(false);
  expect(told).toBe(0);
});
