import { expect, test } from 'vitest';
import { failuresOf, skippedOf } from '../../support/vitest-report.ts';

const outcome = (fullName: string, ...failureMessages: string[]) => ({
  status: failureMessages.length > 0 ? 'failed' : 'passed',
  fullName,
  failureMessages,
});
const file = (
  name: string,
  status: string,
  message: string,
  ...assertionResults: ReturnType<typeof outcome>[]
) => ({
  name: `/repository/${name}`,
  status,
  message,
  assertionResults,
});

test('tests that failed are told in a line each, and files that failed by themselves', () => {
  const report = {
    testResults: [
      file(
        'test/a.test.ts',
        'failed',
        '',
        outcome('is right'),
        outcome('is wrong', 'Error: no\n    at a.test.ts:1'),
      ),
      file('test/b.test.ts', 'failed', 'Error: b.ts is not there\n    at b.test.ts:1'),
      file('test/c.test.ts', 'passed', '', outcome('is right')),
    ],
  };
  expect(failuresOf(report, '/repository')).toEqual([
    'test/a.test.ts: is wrong: Error: no',
    'test/b.test.ts: Error: b.ts is not there',
  ]);
});

test('a run without a report has none', () => {
  expect(failuresOf({}, '/repository')).toEqual([]);
});

test('what was passed over is told by its name, which says why', () => {
  const passedOver = { ...outcome('is not here: no kernel of that kind'), status: 'skipped' };
  const report = { testResults: [file('test/a.test.ts', 'passed', '', outcome('is right'), passedOver)] };
  expect(skippedOf(report, '/repository')).toEqual(['test/a.test.ts: is not here: no kernel of that kind']);
  expect(skippedOf({}, '/repository')).toEqual([]);
});
