import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfiguration } from '../../../agent/configuration.ts';
import type { RbdPoolConfiguration } from '../../../agent/disks/contract.ts';
import { accessArguments, CephClient, qemuName } from '../../../agent/disks/rbd/ceph-client.ts';
import { chainName } from '../../../agent/disks/rbd/images.ts';
import {
  goldenImage,
  goldenOf,
  halfMadeDisk,
  halfMadeGolden,
  isGolden,
  isHalfMade,
  machineImage,
  machineOf,
  ownerObject,
  replacedDisk,
} from '../../../agent/disks/rbd/names.ts';
import { readIsFull, readUsage } from '../../../agent/disks/rbd/pool-figures.ts';
import { addressSeen } from '../../../agent/disks/rbd/pool-watch.ts';
import { composeSecretXml, keyOf } from '../../../agent/hypervisor/libvirt/ceph-keys.ts';
import { parseXml } from '../../../agent/hypervisor/libvirt/xml.ts';
import { addressesOf, fencedAddresses } from '../../../agent/protocol/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-rbd-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const POOL: RbdPoolConfiguration = {
  name: 'ceph',
  kind: 'rbd',
  pool: 'vms',
  conf: '/etc/ceph/ceph.conf',
  user: 'weft',
  keyring: '/etc/ceph/ceph.client.weft.keyring',
};

async function configured(yaml: string) {
  const file = join(folder, 'agent.yaml');
  await writeFile(file, yaml);
  return (await readConfiguration(file)).pools;
}

describe('the configuration of a pool in Ceph', () => {
  test('needs no more than Ceph’s name of it', async () => {
    expect(await configured('pools: [{name: local, path: /p}, {name: ceph, kind: rbd, pool: vms}]')).toEqual([
      { name: 'local', kind: 'local', path: '/p' },
      POOL,
    ]);
  });

  test.each([
    ['pool: "vms:conf=/x"'],
    ['pool: vms, user: "--weft"'],
    ['pool: vms, conf: "/etc/ceph/a b"'],
    ['pool: vms, keyring: "/etc/k:id=admin"'],
    ['pool: vms, path: /p'],
  ])('refuses what would be something else to a program: %s', async (keys) => {
    await expect(configured(`pools: [{name: ceph, kind: rbd, ${keys}}]`)).rejects.toThrow(/pools\.0/);
  });
});

describe('names', () => {
  test('a machine’s image says whose it is, and nothing else is a machine’s', () => {
    expect(machineImage('shop/db-1')).toBe('machine.shop.db-1');
    expect(machineOf('machine.shop.db-1')).toBe('shop/db-1');
    expect(ownerObject('shop/db-1')).toBe('owner.shop.db-1');
    for (const name of ['image.abc', 'making.h1.shop.db', 'machine.shop', 'machine.Shop.db', 'machine.a.b.c'])
      expect(machineOf(name)).toBeNull();
    expect(() => machineImage('shop/../db')).toThrow(/no VM is called/);
  });

  test('a golden image is called by all that it is made from, in its order', () => {
    const one = goldenImage(['/blobs/aa.qcow2', '/blobs/bb.qcow2']);
    expect(one).toMatch(/^image\.[0-9a-f]{64}$/);
    expect(goldenImage(['/elsewhere/aa.qcow2', '/elsewhere/bb.qcow2'])).toBe(one);
    expect(goldenImage(['/blobs/bb.qcow2', '/blobs/aa.qcow2'])).not.toBe(one);
    expect(goldenImage(['/blobs/aa.qcow2'])).not.toBe(one);
  });

  test('what is half made says so, and what was replaced is kept', () => {
    const golden = goldenImage(['/blobs/aa.qcow2']);
    for (const name of [halfMadeGolden('h1', golden), halfMadeDisk('h-2', 'shop/db')])
      expect([isHalfMade(name), isGolden(name)]).toEqual([true, false]);
    for (const name of [golden, 'importing.h1.notes', 'making.h1.x', 'machine.shop.db', 'other.h1.shop.db'])
      expect(isHalfMade(name)).toBe(false);
    expect(isHalfMade(replacedDisk('h1', 'shop/db'))).toBe(false);
    const [base, top] = ['a'.repeat(64), 'b'.repeat(64)];
    const layers = [base, top].map((hex) => ({ digest: `sha256:${hex}` }));
    expect(goldenOf({ layers })).toBe(goldenImage([`/blobs/${top}.qcow2`, `/blobs/${base}.qcow2`]));
  });

  test('QEMU’s tools are told the whole chain, with an end', () => {
    expect(JSON.parse(chainName(['/top.qcow2', '/base.qcow2']).slice('json:'.length))).toEqual({
      driver: 'qcow2',
      file: { driver: 'file', filename: '/top.qcow2' },
      backing: { driver: 'qcow2', file: { driver: 'file', filename: '/base.qcow2' }, backing: null },
    });
    expect(qemuName(POOL, 'image.x')).toBe(
      'rbd:vms/image.x:id=weft:conf=/etc/ceph/ceph.conf:keyring=/etc/ceph/ceph.client.weft.keyring',
    );
  });
});

describe('Ceph’s answers', () => {
  test('what a pool may still take, with all copies counted', () => {
    const pools = [
      { name: 'other', stats: { max_avail: 1, stored: 1 } },
      { name: 'vms', stats: { max_avail: 10 * 2 ** 30, stored: 2 ** 30 } },
    ];
    expect(readUsage(JSON.stringify({ stats: {}, pools }), 'vms')).toEqual({
      freeMiB: 10_240,
      totalMiB: 11_264,
    });
    expect(readUsage(JSON.stringify({ pools: [] }), 'vms')).toBeNull();
  });

  test.each([
    [5, 4, 5],
    [1, 0, 1],
    [20, 10, 11],
  ])('with a quota of %i GiB there are %i left of %i', (quota, free, total) => {
    const stats = { max_avail: 10 * 2 ** 30, stored: 2 ** 30, quota_bytes: quota * 2 ** 30 };
    expect(readUsage(JSON.stringify({ pools: [{ name: 'vms', stats }] }), 'vms')).toEqual({
      freeMiB: free * 1024,
      totalMiB: total * 1024,
    });
  });

  test.each([
    ['hashpspool,selfmanaged_snaps', false],
    ['hashpspool,nearfull,selfmanaged_snaps', false],
    ['hashpspool,full,full_quota,selfmanaged_snaps', true],
    ['full', true],
  ])('a pool with the flags %s is full: %s', (flags_names, isFull) => {
    const pools = [
      { pool_name: 'other', flags_names: isFull ? 'hashpspool' : 'full' },
      { pool_name: 'vms', flags_names },
    ];
    expect(readIsFull(JSON.stringify(pools), 'vms')).toBe(isFull);
  });

  test('the address that a host is seen under', () => {
    const lockers = [
      { name: 'client.1', cookie: 'other', addr: '10.0.0.12:0/9' },
      { name: 'client.2', cookie: 'mine', addr: 'v1:10.0.0.11:0/3755255225' },
    ];
    expect(addressSeen(JSON.stringify({ lockers }), 'mine')).toBe('10.0.0.11');
    expect(addressSeen(JSON.stringify({ lockers }), 'gone')).toBeNull();
    for (const addr of ['[fd00:78::2]:0/1', 'v1:[fd00:78::2]:0/37', 'v2:[fd00:78:0::2]:0/37'])
      expect(addressSeen(JSON.stringify({ lockers: [{ cookie: 'mine', addr }] }), 'mine')).toBe('fd00:78::2');
  });
});

describe('the key', () => {
  test('is in no argument, and is refused when others can read it', async () => {
    expect(accessArguments(POOL)).toContain(POOL.keyring);
    const keyring = join(folder, 'keyring');
    await writeFile(keyring, '', { mode: 0o600 });
    const client = new CephClient({ ...POOL, keyring, conf: '/dev/null' });
    await client.requireAccess();
    await chmod(keyring, 0o640);
    await expect(client.requireAccess()).rejects.toThrow(/can be read or written by others/);
    await rm(keyring);
    await expect(client.requireAccess()).rejects.toThrow(/keyring cannot be read: ENOENT/);
    const lost = new CephClient({ ...POOL, conf: join(folder, 'ceph.conf') });
    await expect(lost.requireAccess()).rejects.toThrow(/configuration .* cannot be read: ENOENT/);
  });

  test('is that of the user who is named', () => {
    const keyring =
      '[client.admin]\n\tkey = AAAA\n[client.weft]\n\tcaps mon = "profile rbd"\n\tkey = AQBBBg==\n';
    expect(keyOf(keyring, 'weft')).toEqual(Buffer.from('AQBBBg==', 'base64'));
    expect(keyOf(keyring, 'other')).toBeNull();
  });

  test('is kept by libvirt in memory only, for nobody to read', () => {
    const xml = composeSecretXml({ uuid: '11111111-2222-8333-8444-555555555555', name: 'weft-5eed-ceph' });
    const secret = parseXml(xml).child('secret');
    expect(secret?.attribute('ephemeral')).toBe('yes');
    expect(secret?.attribute('private')).toBe('yes');
    expect(secret?.child('usage')?.child('name')?.text).toBe('weft-5eed-ceph');
  });
});

test('a storage fence names whole addresses, and a host with one that names none is covered by none', () => {
  const fence = (addresses: string) => ({ agent: 'fence_ceph_blocklist', options: { addresses } });
  expect(addressesOf(fence('10.0.0.11, 10.1.0.11'))).toEqual(['10.0.0.11', '10.1.0.11']);
  for (const wrong of ['', '10.0.0', '10.0.0.256', '10.0.0.1:0/0', '10.0.0.0/24', 'h1'])
    expect(addressesOf(fence(wrong))).toBeNull();
  expect(addressesOf(fence('10.0.0.11, FD00:0:0::11,[fd00::12]'))).toEqual([
    ...['10.0.0.11', 'fd00::11', 'fd00::12'],
  ]);
  for (const wrong of [
    'fe80::11',
    '::ffff:10.0.0.11',
    '::1',
    '::',
    'fd00::/64',
    'fd00::11%eth0',
    '[fd00::11]:0',
  ])
    expect(addressesOf(fence(wrong))).toBeNull();
  expect(fencedAddresses([{ agent: 'fence_ipmilan', options: {} }])).toBeNull();
  expect(fencedAddresses([fence('10.0.0.11'), fence('h1')])).toEqual(['10.0.0.11']);
});
