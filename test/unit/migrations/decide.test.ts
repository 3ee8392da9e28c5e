import { expect, test } from 'vitest';
import { type DepartureSeen, nextAct, stateOf } from '../../../agent/migrations/decide.ts';

const SEEN: DepartureSeen = {
  ...{ guest: 'running', job: 'none', isOurs: false, hasFailed: false, wasResumed: false },
};
const MOVE = { order: 'move', resume: false } as const;
const STOP = { order: 'stop', resume: false } as const;
const RESUME = { order: 'stop', resume: true } as const;
const act = (order: typeof MOVE | typeof STOP | typeof RESUME, seen: Partial<DepartureSeen>) =>
  nextAct(order, { ...SEEN, ...seen });

test('a guest that runs is handed over once; what is down, stands still, or has something else under way is not', () => {
  expect(act(MOVE, {})).toBe('begin');
  expect(act(MOVE, { hasFailed: true })).toBe('wait');
  expect(act(MOVE, { guest: 'absent' })).toBe('wait');
  expect(act(MOVE, { guest: 'paused' })).toBe('wait');
  expect(act(MOVE, { job: 'other' })).toBe('wait');
  expect(act(MOVE, { isOurs: true, job: 'migration' })).toBe('wait');
});

test('what an agent before this one began is ended, and then begun anew', () => {
  expect(act(MOVE, { job: 'migration' })).toBe('abort');
  expect(stateOf(MOVE, { ...SEEN, job: 'migration' })).toBe('working');
});

test('under the order to stop nothing is begun, and what is under way is ended', () => {
  expect(act(STOP, {})).toBe('wait');
  expect(act(STOP, { isOurs: true })).toBe('abort');
  expect(act(STOP, { job: 'migration', guest: 'paused' })).toBe('abort');
  expect(act(STOP, { guest: 'paused' })).toBe('wait');
});

test('a guest that stands still is let run on once, when it may, and nothing is told of it before that', () => {
  expect(act(RESUME, { guest: 'paused' })).toBe('resume');
  expect(stateOf(RESUME, { ...SEEN, guest: 'paused' })).toBe('working');
  expect(act(RESUME, { guest: 'paused', wasResumed: true })).toBe('wait');
  expect(stateOf(RESUME, { ...SEEN, guest: 'paused', wasResumed: true })).toBe('idle');
  expect(act(RESUME, { guest: 'absent' })).toBe('wait');
});
