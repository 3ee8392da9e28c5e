import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBackingFile } from '../../../agent/disks/backing-file.ts';
import type { DiskSource } from '../../../agent/disks/contract.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { writeOwner } from '../../../agent/disks/owner.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { FLEET } from '../../support/builders/goal.ts';

const MIB = 2 ** 20;
const machine = { pool: 'local', vmId: 'crm/db', kind: 'machine', incarnation: 3 } as const;
const DISK = 'pool/machines/crm/db/disk.qcow2';

let folder: string;
let disks: LocalDisks;
let base: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-restored-'));
  disks = new LocalDisks([{ name: 'local', kind: 'local', path: join(folder, 'pool') }], 'h1');
  base = join(folder, 'base.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, '4M']);
  await disks.preparePools(FLEET);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A whole disk of 8 MiB with this byte in its first half MiB. */
const sourceOf = (request: string, byte: string): DiskSource & { written: number } => ({
  request,
  written: 0,
  async write(file) {
    this.written++;
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', file, '8M']);
    await exec('qemu-io', ['-c', `write -P ${byte} 0 512k`, file]);
  },
});
const holds = (byte: string) => exec('qemu-io', ['-r', '-c', `read -P ${byte} 0 512k`, join(folder, DISK)]);
const owner = async () => JSON.parse(await readFile(join(folder, 'pool/machines/crm/db/owner.json'), 'utf8'));

test('a new machine begins with it: whole, once, and as large as was asked', async () => {
  const source = sourceOf('r1', '0x11');
  const made = await disks.ensureOverlay(machine, base, 16 * MIB, 0, source);
  expect(made).toEqual({ path: join(folder, DISK), created: true, whole: true });
  expect(await readBackingFile(made.path)).toBeNull();
  await holds('0x11');
  const info = JSON.parse((await exec('qemu-img', ['info', '--output=json', made.path])).stdout);
  expect(info['virtual-size']).toBe(16 * MIB);
  // What the guest has written since is not taken back.
  await exec('qemu-io', ['-c', 'write -P 0x22 0 512k', made.path]);
  const later = { ...machine, incarnation: 4 };
  expect(await disks.ensureOverlay(later, base, 16 * MIB, 3, source)).toMatchObject({
    created: false,
    whole: true,
  });
  expect(await disks.ensureOverlay(later, base, 16 * MIB, 3)).toMatchObject({ created: false, whole: true });
  await holds('0x22');
  expect(source.written).toBe(1);
  expect(await owner()).toEqual({ host: 'h1', incarnation: 4, restored: 'r1' });
});

test('in place it takes the place of what is there', async () => {
  await disks.ensureOverlay(machine, base, 4 * MIB);
  const next = { ...machine, incarnation: 4 };
  await disks.ensureOverlay(next, base, 4 * MIB, 3, sourceOf('r1', '0x11'));
  await holds('0x11');
  await disks.ensureOverlay({ ...machine, incarnation: 5 }, base, 4 * MIB, 4, sourceOf('r2', '0x33'));
  await holds('0x33');
});

test('one that turns out bad leaves what was there, and no half of it', async () => {
  await disks.ensureOverlay(machine, base, 4 * MIB);
  const bad: DiskSource = {
    request: 'r1',
    async write(file) {
      await sourceOf('r1', '0x11').write(file);
      throw new Error('its content has changed');
    },
  };
  const next = { ...machine, incarnation: 4 };
  await expect(disks.ensureOverlay(next, base, 4 * MIB, 3, bad)).rejects.toThrow('its content has changed');
  expect((await readdir(join(folder, 'pool/machines/crm/db'))).sort()).toEqual(['disk.qcow2', 'owner.json']);
  expect(await readBackingFile(join(folder, DISK))).toBe(base);
  expect(await disks.ensureOverlay(next, base, 4 * MIB, 3)).toEqual({
    path: join(folder, DISK),
    created: false,
  });
});

test('a crash between the disk and its note makes it once more', async () => {
  const source = sourceOf('r1', '0x11');
  await disks.ensureOverlay(machine, base, 4 * MIB, 0, source);
  const { host, incarnation } = await owner();
  await writeOwner(join(folder, 'pool/machines/crm/db/owner.json'), { host, incarnation });
  await disks.ensureOverlay(machine, base, 4 * MIB, 0, source);
  expect(source.written).toBe(2);
  expect(await owner()).toMatchObject({ restored: 'r1' });
});

test('what was lost is not made again behind the user’s back', async () => {
  const source = sourceOf('r1', '0x11');
  await disks.ensureOverlay(machine, base, 4 * MIB, 0, source);
  await rm(join(folder, DISK));
  const next = { ...machine, incarnation: 4 };
  await expect(disks.ensureOverlay(next, base, 4 * MIB, 3, source)).rejects.toMatchObject({
    code: 'not-found',
  });
  // Unless it is asked for.
  await disks.ensureOverlay(next, base, 4 * MIB, 3, sourceOf('r2', '0x44'));
  await holds('0x44');
});
