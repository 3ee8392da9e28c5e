import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { composeKeepalivedConfiguration } from '../../../agent/edge/keepalived-configuration.ts';
import { PlacedAddresses } from '../../../agent/edge/placed-addresses.ts';

const configuration = (...lasts: readonly number[]) =>
  composeKeepalivedConfiguration(
    lasts.map((last) => ({
      ...{ address: `192.0.2.${last}`, prefix: 24, routerId: last, priority: 200, peers: ['192.0.2.2'] },
      address6: { address: `2001:db8::${last}`, prefix: 64 },
    })),
    { address: '192.0.2.1', interface: 'eth0' },
  );

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-placed-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('addresses of a configuration before are kept in mind until nothing else is there', async () => {
  const placed = new PlacedAddresses(folder);
  const listed = async () => (await placed.list()).map(({ cidr, link }) => `${cidr} ${link}`);
  expect(await listed()).toEqual([]);
  await placed.expect(configuration(200, 201));
  await placed.expect(configuration(200));
  expect(await listed()).toEqual([
    ...['192.0.2.200/24 eth0', '2001:db8::200/64 eth0', '192.0.2.201/24 eth0', '2001:db8::201/64 eth0'],
  ]);
  await placed.settle(configuration(200));
  expect(await listed()).toEqual(['192.0.2.200/24 eth0', '2001:db8::200/64 eth0']);
  await placed.forget();
  expect(await listed()).toEqual([]);
});
