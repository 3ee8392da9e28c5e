import { expect, test } from 'vitest';
import { Restarts } from '../../../agent/kit/restarts.ts';

test('what ended is started again at once, then after waits that grow', () => {
  const restarts = new Restarts();
  expect(restarts.mayStart(1_000)).toBe(true);
  restarts.started(1_000);
  expect(restarts.mayStart(1_100)).toBe(false);
  expect(restarts.mayStart(61_000)).toBe(true);
});

test('a clock that is put back keeps nothing from being started', () => {
  const restarts = new Restarts();
  restarts.started(10_000_000);
  expect(restarts.mayStart(10_000_000 - 3_600_000)).toBe(true);
});
