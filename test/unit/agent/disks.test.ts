import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readBackingFile } from '../../../agent/disks/backing-file.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { FLEET } from '../../support/builders/goal.ts';

let folder: string;
let disks: LocalDisks;
let base: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-disks-'));
  disks = new LocalDisks([{ name: 'local', kind: 'local', path: join(folder, 'pool') }], 'h1');
  base = join(folder, 'base.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, '8G']);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const instance = { pool: 'local', vmId: 'crm/web-0', kind: 'instance', incarnation: 3 } as const;
const machine = { pool: 'local', vmId: 'crm/db', kind: 'machine', incarnation: 3 } as const;
const GIB = 2 ** 30;

test('an overlay is a few kilobytes on its image, whatever the size, and is made once', async () => {
  await disks.preparePools(FLEET);
  const made = await disks.ensureOverlay(instance, base, 100 * GIB);
  expect(made).toEqual({ path: join(folder, 'pool/roles/crm/web-0/3.qcow2'), created: true });
  expect((await stat(made.path)).blocks * 512).toBeLessThan(300 * 1024);
  const info = JSON.parse((await exec('qemu-img', ['info', '--output=json', made.path])).stdout);
  expect(info).toMatchObject({ 'virtual-size': 100 * GIB, 'backing-filename': base });
  expect(await disks.ensureOverlay(instance, base, 100 * GIB)).toMatchObject({ created: false });
  expect(await readdir(join(folder, 'pool/roles/crm/web-0'))).toEqual(['3.qcow2']);
});

test('what a crash left half-made is not taken for a disk, and goes; what others put there stays', async () => {
  await disks.preparePools(FLEET);
  const { path } = await disks.ensureOverlay(instance, base, 8 * GIB);
  await disks.discard(instance);
  const again = await disks.ensureOverlay({ ...instance, incarnation: 4 }, base, 8 * GIB);
  await writeFile(`${path}.0a1b2c3d.tmp`, 'half');
  await writeFile(join(folder, 'pool/roles/crm/web-0/theirs.tmp'), 'precious');
  expect((await disks.list()).map((disk) => disk.path)).toEqual([again.path]);
  await disks.ensureOverlay({ ...instance, incarnation: 5 }, base, 8 * GIB);
  expect((await readdir(join(folder, 'pool/roles/crm/web-0'))).sort()).toEqual([
    ...['4.qcow2', '5.qcow2', 'theirs.tmp'],
  ]);
});

test('a failed creation leaves nothing', async () => {
  await disks.preparePools(FLEET);
  await expect(disks.ensureOverlay(instance, join(folder, 'absent.qcow2'), GIB)).rejects.toMatchObject({
    code: 'command-failed',
  });
  expect(await disks.list()).toEqual([]);
});

test('discarding takes an instance’s overlay and its empty folders; a machine’s disk is refused', async () => {
  await disks.preparePools(FLEET);
  await disks.ensureOverlay(instance, base, 8 * GIB);
  const kept = await disks.ensureOverlay(machine, base, 8 * GIB);
  await disks.discard(instance);
  expect(await readdir(join(folder, 'pool/roles'))).toEqual([]);
  await expect(disks.discard(machine)).rejects.toMatchObject({ code: 'forbidden' });
  expect(await disks.list()).toEqual([
    { pool: 'local', path: kept.path, vmId: 'crm/db', kind: 'machine', incarnation: null },
  ]);
  // A tombstone of an earlier machine of this name takes nothing of a later one.
  await disks.destroyMachineDisk('local', 'crm/db', machine.incarnation - 1);
  expect(await disks.list()).toHaveLength(1);
  await disks.destroyMachineDisk('local', 'crm/db', machine.incarnation);
  expect(await disks.list()).toEqual([]);
});

test('a machine’s disk is the same file at every incarnation', () => {
  expect(disks.path(machine)).toBe(disks.path({ ...machine, incarnation: 9 }));
});

test('a pool of another fleet is refused, and stays as it is', async () => {
  await disks.preparePools(FLEET);
  const other = FLEET.replace('5eed', 'beef');
  await expect(disks.preparePools(other)).rejects.toMatchObject({ code: 'conflict' });
  expect(await readFile(join(folder, 'pool/.weft-pool.json'), 'utf8')).toContain(FLEET);
});

test('no name leads out of the pool', () => {
  for (const vmId of ['../x', 'a/../b', '/etc', 'a/b/c', 'a'])
    expect(() => disks.path({ ...instance, vmId })).toThrow(/no VM is called/);
  expect(() => disks.path({ ...instance, pool: 'absent' })).toThrow(/no pool absent/);
});

test('a machine’s disk is never put on another layer than its own', async () => {
  await disks.preparePools(FLEET);
  const { path } = await disks.ensureOverlay(machine, base, 8 * GIB);
  const other = join(folder, 'other.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', other, '8G']);
  await expect(disks.ensureOverlay(machine, other, 8 * GIB)).rejects.toMatchObject({
    code: 'conflict',
    message: 'the disk of crm/db lies on base.qcow2, not on other.qcow2',
  });
  expect(await readBackingFile(path)).toBe(base);
  expect(await readBackingFile(base)).toBeNull();
});

describe('a pool that hosts share', () => {
  const path = () => join(folder, 'san');
  const hostOf = (name: string) => new LocalDisks([{ name: 'san', kind: 'shared', path: path() }], name);
  const shared = { ...machine, pool: 'san' };
  const ready = async (name: string) => {
    const each = hostOf(name);
    await each.preparePools(FLEET);
    return each;
  };

  test('is never made by itself: a folder that is not mounted is no pool, and takes no disk', async () => {
    await mkdir(path());
    const h1 = await ready('h1');
    expect(await readdir(path())).toEqual([]);
    const [view] = await h1.pools();
    expect(view).toMatchObject({ name: 'san', kind: 'shared', id: null });
    expect(view?.problem).toMatch(
      /pool san cannot be used: .* has no \.weft-pool\.json\. Mount it\..*--init-pool san/,
    );
    await expect(h1.ensureOverlay(shared, base, 8 * GIB)).rejects.toMatchObject({ code: 'not-found' });
    expect(await readdir(path())).toEqual([]);
    const id = await h1.initPool('san', FLEET);
    expect(await h1.initPool('san', FLEET)).toBe(id);
    expect(await (await ready('h2')).pools()).toMatchObject([{ id, problem: null }]);
    await expect(h1.initPool('san', FLEET.replace('5eed', 'beef'))).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  test('shows each host what it had last, and nothing of the others', async () => {
    const [h1, h2] = [await ready('h1'), await ready('h2')];
    await h1.initPool('san', FLEET);
    const ours = { ...instance, pool: 'san' };
    await h1.ensureOverlay(shared, base, 8 * GIB);
    await h1.ensureOverlay(ours, base, 8 * GIB);
    expect((await h1.list()).map(({ vmId }) => vmId).sort()).toEqual(['crm/db', 'crm/web-0']);
    expect(await h2.list()).toEqual([]);
    const taken = await h2.ensureOverlay({ ...shared, incarnation: 4 }, base, 8 * GIB, 3);
    expect(taken.created).toBe(false);
    expect((await h1.list()).map(({ vmId }) => vmId)).toEqual(['crm/web-0']);
    expect((await h2.list()).map(({ vmId }) => vmId)).toEqual(['crm/db']);
    expect((await h1.list(new Set(['crm/db']))).map(({ vmId }) => vmId).sort()).toEqual([
      'crm/db',
      'crm/web-0',
    ]);
    await h1.discard(ours);
    expect(await readdir(join(path(), 'roles'))).toEqual([]);
  });

  test('gives a machine its very disk or none: not to an older incarnation, not an older copy, not an empty one', async () => {
    const h1 = await ready('h1');
    await h1.initPool('san', FLEET);
    await h1.ensureOverlay(shared, base, 8 * GIB);
    const h2 = await ready('h2');
    const asked = (incarnation: number, last: number) =>
      h2.ensureOverlay({ ...shared, incarnation }, base, 8 * GIB, last);
    await expect(asked(2, 0)).rejects.toMatchObject({
      code: 'conflict',
      message: 'the disk of crm/db is in use at incarnation 3 by h1; this is 2',
    });
    await expect(asked(6, 5)).rejects.toMatchObject({
      code: 'conflict',
      message:
        'pool san has a disk of crm/db of incarnation 3, and the last one was 5: it is another pool, or a copy',
    });
    await rm(h1.path(shared));
    await expect(asked(4, 3)).rejects.toMatchObject({ code: 'not-found' });
    await expect(stat(h1.path(shared))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test('a machine whose disk is gone from its host is not given an empty one', async () => {
  await disks.preparePools(FLEET);
  await disks.ensureOverlay(machine, base, 8 * GIB);
  await rm(disks.path(machine));
  await expect(disks.ensureOverlay(machine, base, 8 * GIB, 3)).rejects.toMatchObject({
    code: 'not-found',
    remedy: expect.stringContaining('Put it back'),
  });
  expect(await disks.list()).toEqual([]);
});
