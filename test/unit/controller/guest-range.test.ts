import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readConfiguration } from '../../../controller/configuration.ts';
import { openFleet } from '../../../controller/fleet/fleet-record.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { FLEET } from '../../support/builders/goal.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

test.each([
  ['10.0.0.0/21', /too small/],
  ['10.0.0.0/7', /too large/],
  ['10.0.0.1/10', /bits set/],
  ['10.128.0.0/010', /begins with 0, .*: write 10\.128\.0\.0\/10/],
  ['fd00::/8', /must be IPv4/],
  ['10.0.0.0', /must be a network/],
])('--guest-range %s is refused', (range, message) => {
  expect(() => readConfiguration(['--guest-range', range])).toThrow(message);
});

test.each([
  ['10.128.0.200-10.128.0.210/24', '10.128.0.0/10'],
  ['10.3.0.200/8', '10.128.0.0/10'],
  ['fd5e:ed00::200/64', 'fd5e:ed00::/48'],
])('public addresses %s are refused beside guests of %s', async (range, guests) => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-range-'));
  folders.push(folder);
  const store = new MemoryStore();
  const fleet = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };
  await store.transact({ puts: [{ key: 'fleet', value: fleet }] });
  const open = (...ranges: readonly string[]) => openFleet(store, join(folder, 'fleet.json'), null, ranges);
  await expect(open('192.0.2.200/24', range)).rejects.toThrow(
    `--public ${range} is of a link that overlaps ${guests}, the guests’ range`,
  );
  expect((await open('192.0.2.200/24')).public).toEqual(['192.0.2.200/24']);
});

test('the range can be chosen as long as nobody has an address of another one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-range-'));
  folders.push(folder);
  const file = join(folder, 'fleet.json');
  const store = new MemoryStore();
  const first = await openFleet(store, file);
  expect(first.range).toBe('10.128.0.0/10');
  const chosen = await openFleet(store, file, '172.16.0.0/12');
  expect(chosen).toEqual({ ...first, range: '172.16.0.0/12' });
  expect(await openFleet(store, file)).toEqual(chosen);
  await store.transact({ puts: [{ key: 'networks/crm/web', value: {} }] });
  expect(await openFleet(store, file, '172.16.0.0/12')).toEqual(chosen);
  await expect(openFleet(store, file, '10.0.0.0/10')).rejects.toThrow(
    /cannot become 10.0.0.0\/10: networks have addresses of 172.16.0.0\/12, crm\/web is one/,
  );
});

test('a length of public addresses that begins with 0 is refused', () => {
  expect(() => readConfiguration(['--public', '192.0.2.200/024'])).toThrow(/is no range of one link/);
});

test('a range of an older controller is read as what it means', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-range-'));
  folders.push(folder);
  const store = new MemoryStore();
  const fleet = { uuid: FLEET, epoch: 1, range: '10.128.0.0/010' };
  await store.transact({
    puts: [
      { key: 'fleet', value: fleet },
      { key: 'networks/crm/web', value: {} },
    ],
  });
  const opened = await openFleet(store, join(folder, 'fleet.json'), '10.128.0.0/10');
  expect(opened.range).toBe('10.128.0.0/10');
});
