import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { wantedGuardFolder } from '../../../controller/all-in-one/guard-folder.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-all-in-one-'));
  file = join(folder, 'agent.yaml');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a host whose configuration turns its guard on is given one', async () => {
  await writeFile(file, 'name: h1\nguard: {enabled: true, watchdog: none, leaseMs: 10000}\n');
  expect(await wantedGuardFolder(file)).toBe('/run/weft/guard');
  await writeFile(file, 'guard: {enabled: true, folder: /run/other}\n');
  expect(await wantedGuardFolder(file)).toBe('/run/other');
});

test.each([
  'name: h1\n',
  '',
  'guard: {enabled: false}\n',
  'guard: {}\n',
  'guard: [\n',
  'guard: {enabled: true, folder: ../elsewhere}\n',
])('none is started for %j', async (text) => {
  await writeFile(file, text);
  expect(await wantedGuardFolder(file)).toBe(null);
});

test('none is started without a configuration', async () => {
  expect(await wantedGuardFolder(join(folder, 'missing.yaml'))).toBe(null);
});
