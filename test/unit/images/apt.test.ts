import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { whileBusy } from '../../../images/recipes/apt.ts';
import { readCandidates } from '../../../images/recipes/debian-packages.ts';

const DONE = { stdout: 'done', stderr: '', exitCode: 0 };
const failed = (why: string) => new WeftError('command-failed', `apt-get update failed (exit 100): ${why}`);

/** Fails so often, and then works. */
function attempts(times: number, error: Error) {
  const told: string[] = [];
  let made = 0;
  const attempt = async () => {
    if (made++ < times) throw error;
    return DONE;
  };
  return { attempt, say: (line: string) => void told.push(line), told, made: () => made };
}

describe('a program of apt’s', () => {
  test.each([
    failed('E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)'),
    failed('E: Unable to lock directory /var/lib/apt/lists/'),
    failed(
      'E: Could not open file /var/lib/apt/lists/deb.debian.org_InRelease - open (2: No such file or directory)',
    ),
    failed('E: The package cache file is corrupted'),
    failed('E: The package lists or status file could not be parsed or opened.'),
    new WeftError('timeout', 'apt-cache policy did not end within 60000 ms'),
  ])('that another one is in the way of is run again, and that is said once: $message', async (error) => {
    const clock = new VirtualClock(0);
    const { attempt, say, told, made } = attempts(3, error);
    const run = whileBusy('apt-get update', attempt, { say }, clock);
    for (let count = 0; count < 4; count++) await clock.advance(15_000);
    expect(await run).toBe(DONE);
    expect(made()).toBe(4);
    expect(told).toEqual(['waiting: another apt is at work on this machine (apt-get update)']);
  });

  test('that fails for another reason is not', async () => {
    const { attempt, say, told } = attempts(9, failed('E: Unable to locate package nothing'));
    await expect(whileBusy('apt-get update', attempt, { say }, systemClock)).rejects.toThrow(/locate/);
    expect(told).toEqual([]);
  });

  test('is given up after ten minutes', async () => {
    const clock = new VirtualClock(0);
    const { attempt, say } = attempts(1_000, failed('E: Could not get lock /var/lib/dpkg/lock'));
    const run = whileBusy('apt-get update', attempt, { say }, clock);
    const ended = expect(run).rejects.toThrow(/another apt is in the way of apt-get update: .*lock/);
    await clock.advance(700_000);
    await ended;
  });
});

test('versions are read of many packages at once, in the order in which they were asked for', () => {
  const output = `bash:
  Installed: 5.2.15-2+b7
  Candidate: 5.2.15-2+b8
  Version table:
 *** 5.2.15-2+b7 100
        100 /var/lib/dpkg/status
virtual:
  Installed: (none)
  Candidate: (none)
  Version table:
zstd:
  Installed: (none)
  Candidate: 1.5.4+dfsg2-5
`;
  expect(readCandidates(output, ['zstd', 'unknown', 'bash', 'virtual'])).toEqual([
    ...['1.5.4+dfsg2-5', 'none', '5.2.15-2+b8', '(none)'],
  ]);
});
