import { expect, test } from 'vitest';
import { readConfiguration } from '../../../controller/configuration.ts';

test('healing holds still unless it is told not to', () => {
  expect(readConfiguration([])?.holds).toBe(true);
  expect(readConfiguration(['--hold-healing', 'on'])?.holds).toBe(true);
  expect(readConfiguration(['--hold-healing', 'off'])?.holds).toBe(false);
  expect(() => readConfiguration(['--hold-healing', 'maybe'])).toThrow(/neither on nor off/);
});
