import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { bootTimeMs, readBootId } from '../../../agent/guard/boot-time.ts';
import { GuardFolder } from '../../../agent/guard/notes.ts';
import { turn } from '../../../agent/guard/turn.ts';
import { waitFor } from '../../support/wait-for.ts';
import { inFolder } from './files.ts';

const held = { untilMs: 2_000, released: false, toldWord: null };
const sight = { nowMs: 1_000, lease: held, isAnotherThere: false, takesOver: false };
const over = { ...held, untilMs: 500 };

describe('the turn of a guard that was just started', () => {
  test('is at once when it is alone, also to stop what runs without a lease', () => {
    expect(turn(sight)).toBe('begin');
    expect(turn({ ...sight, lease: null })).toBe('begin');
    expect(turn({ ...sight, lease: over })).toBe('begin');
  });

  test('is not while another one runs', () => {
    expect(turn({ ...sight, isAnotherThere: true })).toBe('wait');
    expect(turn({ ...sight, isAnotherThere: true, lease: over })).toBe('wait');
  });

  test('comes with a lease when it takes over, and others are asked to end with one only', () => {
    const takesOver = { ...sight, takesOver: true };
    expect(turn(takesOver)).toBe('begin');
    expect(turn({ ...takesOver, lease: over })).toBe('wait');
    expect(turn({ ...takesOver, lease: { ...over, released: true } })).toBe('begin');
    expect(turn({ ...takesOver, isAnotherThere: true })).toBe('ask');
    expect(turn({ ...takesOver, isAnotherThere: true, lease: over })).toBe('wait');
  });
});

describe('guards on one folder', () => {
  const started: ChildProcess[] = [];
  afterEach(() => {
    for (const each of started.splice(0)) each.kill('SIGKILL');
  });

  const guard = (folder: string, ...args: string[]) => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'agent/guard/main.ts', '--folder', folder, ...args],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    started.push(child);
    const said = { text: '' };
    child.stderr.on('data', (chunk: Buffer) => {
      said.text += chunk.toString();
    });
    return { pid: child.pid, child, said };
  };

  test(
    'work one after the other, and one that takes over ends the one before',
    () =>
      inFolder(async (path) => {
        const folder = new GuardFolder(path, readBootId());
        folder.write('lease', { untilMs: bootTimeMs() + 600_000, released: false, toldWord: null });
        folder.write('machines', { fleet: 'abcd', watchdog: null, sharedPools: [], machines: [] });
        const working = (pid: number | undefined) =>
          waitFor(
            'the guard to work',
            async () => folder.read('guard')?.pid,
            (found) => found === pid,
            60_000,
          );
        const first = guard(path);
        await working(first.pid);
        const second = guard(path);
        await waitFor(
          'the second to wait',
          async () => second.said.text,
          (text) => text.includes('another guard runs'),
          60_000,
        );
        expect(folder.read('guard')?.pid).toBe(first.pid);
        second.child.kill('SIGTERM');
        const third = guard(path, '--take-over');
        await working(third.pid);
        expect(first.child.exitCode).toBe(0);
        await waitFor(
          'the second to end',
          async () => second.child.exitCode,
          (code) => code === 0,
        );
      }),
    120_000,
  );
});
