import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readLastOfConsole } from '../../../agent/executor/console-tail.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-console-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('what is still on its way to the log of a guest that has ended is waited for', async () => {
  const log = join(folder, 'console.log');
  await writeFile(log, 'booting\n');
  const reading = readLastOfConsole(log);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await appendFile(log, 'Kernel panic - not ');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await appendFile(log, 'syncing: sysrq triggered crash\n');
  expect(await reading).toBe('booting\nKernel panic - not syncing: sysrq triggered crash');
});

test('a log that is written without end is read all the same, and one that is not there is nothing', async () => {
  const log = join(folder, 'flood.log');
  await writeFile(log, 'more\n');
  let isOver = false;
  const flood = (async () => {
    while (!isOver) {
      await appendFile(log, 'more\n');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  expect(await readLastOfConsole(log)).toMatch(/^more\n/);
  isOver = true;
  await flood;
  expect(await readLastOfConsole(join(folder, 'none.log'))).toBeNull();
});
