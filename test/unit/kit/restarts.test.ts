import { expect, test } from 'vitest';
import { Restarts } from '../../../agent/kit/restarts.ts';

test('what ended is started again at once, then after waits that grow', () => {
  const restarts = new Restarts();
  expect(restarts.mayStart(1_000)).toBe(true);
  restarts.started(1_000);
  expect(restarts.mayStart(1_100)).toBe(false);
  expect(restarts.mayStart(61_000)).toBe(true);
});

test('what is started again and again ends by itself, until it has lived', () => {
  const restarts = new Restarts();
  for (const nowMs of [0, 10_000]) restarts.started(nowMs);
  expect(restarts.keepsEnding(10_000)).toBe(false);
  restarts.started(20_000);
  for (const nowMs of [20_000, 49_999]) expect(restarts.keepsEnding(nowMs)).toBe(true);
  expect(restarts.keepsEnding(50_000)).toBe(false);
});

test('a clock that is put back keeps nothing from being started', () => {
  const restarts = new Restarts();
  restarts.started(10_000_000);
  expect(restarts.mayStart(10_000_000 - 3_600_000)).toBe(true);
});

test('what was told to end is started at once when it is wanted again, however often', () => {
  const restarts = new Restarts();
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) {
    expect(restarts.mayStart(nowMs)).toBe(true);
    restarts.started(nowMs);
    restarts.toldToEnd();
    expect(restarts.keepsEnding(nowMs)).toBe(false);
  }
});
