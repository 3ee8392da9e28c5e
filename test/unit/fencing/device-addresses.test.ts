import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deviceAddresses } from '../../../controller/fencing/device-addresses.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-devices-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('addresses of devices are those that secrets name, and nothing else of them', async () => {
  const write = (name: string, text: string, mode = 0o600) => writeFile(join(folder, name), text, { mode });
  await write('h1-bmc', '10.9.9.9\nip=10.0.0.11\nusername=fence\n');
  await write('h2-bmc', 'word\nip=2001:db8::11\n');
  await write('named', 'word\nip=localhost\n');
  await write('open', 'word\nip=10.0.0.12\n', 0o644);
  const found = await deviceAddresses(folder);
  expect(found).toEqual(expect.arrayContaining(['10.0.0.11', '2001:db8::11']));
  expect(found.some((each) => each === '127.0.0.1' || each === '::1')).toBe(true);
  expect(found.some((each) => ['10.9.9.9', '10.0.0.12', 'word'].includes(each))).toBe(false);
  expect(await deviceAddresses(join(folder, 'nothing'))).toEqual([]);
});
