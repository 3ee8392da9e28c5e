import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBackingFile } from '../../../agent/disks/backing-file.ts';
import { DiskCopies } from '../../../agent/disks/disk-copies.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { FLEET } from '../../support/builders/goal.ts';

const GIB = 2 ** 30;
const KEY = { pool: 'local', vmId: 'crm/db', kind: 'machine', incarnation: 2 } as const;
const FACTS = { virtualSizeBytes: 3 * GIB, dataBytes: 4096, restored: null };

let folder: string;
let base: string;
let disks: LocalDisks;
let copies: DiskCopies;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-copies-'));
  const pools = [
    { name: 'local', kind: 'local', path: join(folder, 'pool') },
    { name: 'san', kind: 'shared', path: join(folder, 'san') },
  ] as const;
  disks = new LocalDisks(pools, 'h2');
  copies = new DiskCopies(disks, 'h2');
  base = join(folder, 'base.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, '1G']);
  await disks.preparePools(FLEET);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const owner = async () =>
  JSON.parse(await readFile(join(folder, 'pool/machines/crm/db/owner.json'), 'utf8')) as object;
const states = async () => (await disks.list()).map(({ copy }) => copy?.state ?? 'own');

test('a place for a copy is as large as the disk, lies on the image, and is half until it is kept, then settled', async () => {
  const path = await copies.begin(KEY, base, FACTS);
  expect(await readBackingFile(path)).toBe(base);
  expect(await copies.measure(KEY)).toMatchObject({ virtualSizeBytes: 3 * GIB, restored: null });
  expect(await owner()).toEqual({ host: 'h2', incarnation: 2, copy: 'half' });
  expect(await states()).toEqual(['half']);
  await expect(copies.settle(KEY)).rejects.toMatchObject({ code: 'internal' });
  await copies.flush(KEY);
  await copies.keep(KEY);
  expect(await states()).toEqual(['whole']);
  await copies.keep(KEY);
  await copies.settle(KEY);
  await copies.settle(KEY);
  expect(await states()).toEqual(['own']);
  expect(await owner()).toEqual({ host: 'h2', incarnation: 2 });
  await expect(copies.keep({ ...KEY, incarnation: 3 })).rejects.toMatchObject({ code: 'conflict' });
});

test('the copy of a disk that was restored lies on nothing, and is known as that', async () => {
  const path = await copies.begin(KEY, base, { ...FACTS, restored: 'r1' });
  expect(await readBackingFile(path)).toBeNull();
  await copies.keep(KEY);
  await copies.settle(KEY);
  expect((await copies.measure(KEY)).restored).toBe('r1');
  // Started from its disk it is taken as it is.
  expect(await disks.ensureOverlay(KEY, base, GIB, 2)).toMatchObject({ created: false, whole: true });
});

test('a try is never written over an earlier one, and no place is made where a disk is', async () => {
  const path = await copies.begin(KEY, base, FACTS);
  await writeFile(path, 'blocks of an earlier try');
  await writeFile(`${path}.0a1b2c3d.tmp`, 'cut short');
  expect(await copies.begin({ ...KEY, incarnation: 3 }, base, FACTS)).toBe(path);
  expect(await readBackingFile(path)).toBe(base);
  expect((await readdir(join(folder, 'pool/machines/crm/db'))).sort()).toEqual(['disk.qcow2', 'owner.json']);
  // One that was called off comes too late.
  await expect(copies.begin(KEY, base, FACTS)).rejects.toMatchObject({ code: 'conflict' });
  await copies.keep({ ...KEY, incarnation: 3 });
  await expect(copies.begin({ ...KEY, incarnation: 4 }, base, FACTS)).rejects.toMatchObject({
    code: 'conflict',
  });
  await expect(copies.begin({ ...KEY, pool: 'san' }, base, FACTS)).rejects.toMatchObject({
    code: 'not-supported',
  });
});

test('half a copy starts nobody but whom the controller says it is whole for', async () => {
  await copies.begin(KEY, base, FACTS);
  const start = (incarnation: number, last: number) =>
    disks.ensureOverlay({ ...KEY, incarnation }, base, GIB, last);
  await expect(start(1, 1)).rejects.toMatchObject({ code: 'conflict' });
  await expect(start(3, 1)).rejects.toMatchObject({ code: 'conflict' });
  expect(await states()).toEqual(['half']);
  // What followed on the one that it was copied for.
  expect(await start(3, 2)).toMatchObject({ created: false });
  expect(await owner()).toEqual({ host: 'h2', incarnation: 3 });
});

test('a copy that came to nothing goes, and so does the old disk; what is whole, or newer, stays', async () => {
  const path = await copies.begin(KEY, base, FACTS);
  await copies.dropHalf('local', 'crm/db', 1);
  await stat(path);
  await copies.dropHalf('local', 'crm/db', 2);
  expect(await disks.list()).toEqual([]);
  await copies.begin(KEY, base, FACTS);
  await copies.keep(KEY);
  await copies.dropHalf('local', 'crm/db', 2);
  expect(await states()).toEqual(['whole']);
  await copies.settle(KEY);
  await copies.dropOld('local', 'crm/db', 1);
  expect(await states()).toEqual(['own']);
  await copies.dropOld('local', 'crm/db', 2);
  expect(await disks.list()).toEqual([]);
});

test('a disk that left with its machine is not started again by a controller whose store is from before that', async () => {
  const key = { ...KEY, incarnation: 1 };
  const start = (knownToLeave?: number, incarnation = 1) =>
    disks.ensureOverlay(
      { ...key, incarnation, ...(knownToLeave === undefined ? {} : { knownToLeave }) },
      base,
      GIB,
      1,
    );
  await disks.ensureOverlay(key, base, GIB);
  // Another one's word, as that of an incarnation that is over.
  await copies.noteLeft({ ...key, incarnation: 7 }, { to: 'h3', incarnation: 8 });
  await start(0);
  await copies.noteLeft(key, { to: 'h3', incarnation: 2 });
  await copies.noteLeft(key, { to: 'h3', incarnation: 2 });
  await expect(start(0)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('went to h3 with its machine, as incarnation 2'),
    remedy: expect.stringContaining('store is from before that'),
  });
  // Made anew meanwhile, by the same controller.
  await expect(start(0, 5)).rejects.toMatchObject({ code: 'conflict' });
  // One that knows of it has decided that it is here, and it is a disk like any other again.
  await start(2);
  expect(await owner()).toEqual({ host: 'h2', incarnation: 1 });
  await start(0);
});
