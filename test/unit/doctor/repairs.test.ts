import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { writeOwner } from '../../../agent/disks/owner.ts';
import type { Repair } from '../../../agent/doctor/findings.ts';
import { Repairer } from '../../../agent/doctor/repairs.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { FakeLinks, fakeNetwork } from '../../support/fakes/host-fakes.ts';

let folder: string;
let pool: string;
let repairer: Repairer;
let links: FakeLinks;
const pruned: ReadonlySet<string>[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-repairs-'));
  pool = join(folder, 'pool');
  const pools = [
    { name: 'local', kind: 'local' as const, path: pool },
    { name: 'san', kind: 'shared' as const, path: join(folder, 'san') },
  ];
  const disks = new LocalDisks(pools, 'h1');
  await disks.preparePools(FLEET);
  await disks.initPool('san', FLEET);
  links = new FakeLinks();
  pruned.length = 0;
  repairer = new Repairer({
    ...{ fleet: FLEET, host: 'h1', pools, links, network: fakeNetwork, driver: new FakeDriver(FLEET) },
    paths: { run: join(folder, 'run') },
    cache: {
      prune: async (keep) => {
        pruned.push(keep);
        return [];
      },
    },
    goal: () => null,
    blobs: async () => ({ present: ['sha256:a', 'sha256:b', 'sha256:c'], needed: ['sha256:a'] }),
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function plant(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'kept');
  return path;
}
const refused = (repair: Repair) => expect(repairer.do(repair)).rejects.toMatchObject({ code: 'forbidden' });

test('a disk is never taken for one that was not finished', async () => {
  for (const name of [
    'machines/crm/db/disk.qcow2',
    'roles/crm/web-0/1.qcow2',
    'roles/crm/web-0/x.tmp',
    'notes.txt',
  ]) {
    const path = await plant(join(pool, name));
    await refused({ kind: 'remove-half-made', pool: 'local', path });
    expect(await stat(path)).toBeTruthy();
  }
});

test('in a pool that hosts share only what this host had last goes, by what is written there now', async () => {
  const san = join(folder, 'san');
  const half = await plant(join(san, 'machines/crm/db/disk.qcow2.0a1b2c3d.tmp'));
  const owner = join(san, 'machines/crm/db/owner.json');
  const removeHalf = { kind: 'remove-half-made', pool: 'san', path: half } as const;
  await refused(removeHalf);
  await writeOwner(owner, { host: 'h2', incarnation: 2 });
  await refused(removeHalf);
  await writeOwner(owner, { host: 'h1', incarnation: 1 });
  await repairer.do(removeHalf);
  await expect(stat(half)).rejects.toMatchObject({ code: 'ENOENT' });
  // Another host may be about to begin with the machine.
  await refused({ kind: 'remove-lone-owner', pool: 'san', path: owner });
});

test('who had a disk is forgotten when the disk is not there, and not when it has come back', async () => {
  const machine = join(pool, 'machines/crm/db/owner.json');
  await writeOwner(machine, { host: 'h9', incarnation: 1 });
  const instance = join(folder, 'san/roles/crm/web-0/3.qcow2.owner');
  await writeOwner(instance, { host: 'h2', incarnation: 3 });
  await refused({ kind: 'remove-lone-owner', pool: 'san', path: instance });
  await writeOwner(instance, { host: 'h1', incarnation: 3 });
  const disks = [join(dirname(machine), 'disk.qcow2'), join(dirname(instance), '3.qcow2')];
  await Promise.all(disks.map(plant));
  await refused({ kind: 'remove-lone-owner', pool: 'local', path: machine });
  await refused({ kind: 'remove-lone-owner', pool: 'san', path: instance });
  await Promise.all(disks.map((path) => rm(path)));
  await repairer.do({ kind: 'remove-lone-owner', pool: 'local', path: machine });
  await repairer.do({ kind: 'remove-lone-owner', pool: 'san', path: instance });
  for (const path of [machine, instance]) await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  const note = await plant(join(pool, 'machines/crm/db/notes.json'));
  await refused({ kind: 'remove-lone-owner', pool: 'local', path: note });
});

test('a pool that is another fleet’s by now is left alone', async () => {
  const path = await plant(join(pool, 'roles/crm/web-0/1.qcow2.0a1b2c3d.tmp'));
  await writeFile(
    join(pool, '.weft-pool.json'),
    JSON.stringify({ fleet: 'f00d0000-0000-4000-8000-000000000001' }),
  );
  await refused({ kind: 'remove-half-made', pool: 'local', path });
  await rm(join(pool, '.weft-pool.json'));
  await refused({ kind: 'remove-half-made', pool: 'local', path });
  await refused({ kind: 'remove-empty-folder', pool: 'local', path: join(pool, 'roles/crm') });
  expect(await stat(path)).toBeTruthy();
});

test('a path that leads out, or a link in the place of a file, is no file of ours', async () => {
  const path = await plant(join(folder, 'crm/web-0/1.qcow2.0a1b2c3d.tmp'));
  const crooked = `${pool}/roles/../../crm/web-0/1.qcow2.0a1b2c3d.tmp`;
  await refused({ kind: 'remove-half-made', pool: 'local', path });
  await refused({ kind: 'remove-half-made', pool: 'local', path: crooked });
  const link = join(folder, 'run/crm/web-0/seed-1.iso');
  await mkdir(dirname(link), { recursive: true });
  await symlink(path, link);
  await refused({ kind: 'remove-seed', vmId: 'crm/web-0', incarnation: 1, path: link });
  await refused({ kind: 'remove-seed', vmId: 'crm/../..', incarnation: 1, path });
  await refused({ kind: 'remove-empty-folder', pool: null, path: folder });
  await refused({ kind: 'remove-empty-folder', pool: 'local', path: join(pool, 'roles') });
  expect(await stat(path)).toBeTruthy();
});

test('a folder with something in it stays', async () => {
  const path = await plant(join(pool, 'roles/crm/web-0/theirs'));
  await expect(
    repairer.do({ kind: 'remove-empty-folder', pool: 'local', path: dirname(path) }),
  ).rejects.toMatchObject({ code: 'ENOTEMPTY' });
});

test('a blob goes alone, and not when it has become needed', async () => {
  await repairer.do({ kind: 'remove-blob', digest: 'sha256:b' });
  expect(pruned.map((keep) => [...keep].sort())).toEqual([['sha256:a', 'sha256:c']]);
  await refused({ kind: 'remove-blob', digest: 'sha256:a' });
  expect(pruned).toHaveLength(1);
});

test('a bridge that has something on it by now, or is not ours, stays', async () => {
  links.all.set('wb5eed-7', { name: 'wb5eed-7', ports: ['vnet3'] });
  links.all.set('br0', { name: 'br0', ports: [] });
  await refused({ kind: 'remove-bridge', bridge: 'wb5eed-7' });
  await refused({ kind: 'remove-bridge', bridge: 'br0' });
  await refused({ kind: 'remove-bridge', bridge: 'wb5eed-6' });
  await refused({ kind: 'remove-table', table: 'nat' });
  links.fleetsWithGuests.add(FLEET);
  await refused({ kind: 'remove-table', table: 'weft_5eed' });
  expect([...links.all.keys()]).toEqual(['wb5eed-7', 'br0']);
});
