import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeviceAddresses } from '../../../controller/fencing/device-addresses.ts';

let folder: string;
/** What names resolve to; null: nobody knows. */
let names: Record<string, readonly string[] | null>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-devices-'));
  names = {};
});
afterEach(() => rm(folder, { recursive: true }));

const write = (name: string, text: string, mode = 0o600) => writeFile(join(folder, name), text, { mode });
const devicesOf = (secrets: string) =>
  new DeviceAddresses(secrets, async (name) => {
    const known = names[name];
    if (!known) throw new Error('there is no such name');
    return known;
  });

test('addresses of devices are those that secrets name, and nothing else of them', async () => {
  await write('h1-bmc', '10.9.9.9\nip=10.0.0.11\nusername=fence\n');
  await write('h2-bmc', 'word\nip=2001:db8::11\n');
  await write('open', 'word\nip=10.0.0.12\n', 0o644);
  expect(await devicesOf(folder).look()).toEqual(['10.0.0.11', '2001:db8::11']);
  expect(await devicesOf(join(folder, 'nothing')).look()).toEqual([]);
});

test('names are those of this machine’s resolver', async () => {
  await write('named', 'word\nip=localhost\n');
  const found = await new DeviceAddresses(folder).look();
  expect(found.some((each) => each === '127.0.0.1' || each === '::1')).toBe(true);
});

test('what changes is found at the next look', async () => {
  await write('h1-bmc', 'word\nip=bmc-1\n');
  names['bmc-1'] = ['10.0.0.11'];
  const devices = devicesOf(folder);
  expect(await devices.look()).toEqual(['10.0.0.11']);
  names['bmc-1'] = ['10.0.0.21', '10.0.0.20'];
  await write('h2-bmc', 'word\nip=10.0.0.12\n');
  expect(await devices.look()).toEqual(['10.0.0.12', '10.0.0.20', '10.0.0.21']);
  await write('h1-bmc', 'word\nip=10.0.0.13\n');
  await rm(join(folder, 'h2-bmc'));
  expect(await devices.look()).toEqual(['10.0.0.13']);
});

test('what cannot be resolved or read for the moment is as it was', async () => {
  await write('h1-bmc', 'word\nip=bmc-1\n');
  await write('h2-bmc', 'word\nip=bmc-2\n');
  names['bmc-1'] = ['10.0.0.11'];
  const devices = devicesOf(folder);
  expect(await devices.look()).toEqual(['10.0.0.11']);
  names = { 'bmc-1': null, 'bmc-2': ['10.0.0.12'] };
  await chmod(join(folder, 'h1-bmc'), 0o644);
  expect(await devices.look()).toEqual(['10.0.0.11', '10.0.0.12']);
});
