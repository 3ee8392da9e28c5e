import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../kit/exec.ts';
import { Connection, type Domain, DomainJobStatsFlag } from '../src/index.ts';
import { GuestConsole } from './support/console.ts';
import { guestImage } from './support/guest-image.ts';
import { guestXml } from './support/guest-xml.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';
import { until } from './support/wait.ts';

/** The disk of a guest that runs is copied, whole, as it was at one moment. */

const DISK_BYTES = 64 * 2 ** 20;
const backupXml = (file: string) =>
  `<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file'><driver type='qcow2'/><target file='${file}'/></disk></disks></domainbackup>`;

let libvirt: PrivateLibvirt;
let connection: Connection;
let guest: Domain;

beforeAll(async () => {
  libvirt = await PrivateLibvirt.start({ name: 'backup' });
  connection = await Connection.open(libvirt.uri);
  const base = join(libvirt.folder, 'base.qcow2');
  const overlay = join(libvirt.folder, 'overlay.qcow2');
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(DISK_BYTES)], { timeoutMs: 10_000 });
  await exec('qemu-io', ['-c', 'write -P 0x5a 0 4M', base], { timeoutMs: 10_000 });
  await exec('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', overlay], {
    timeoutMs: 10_000,
  });
  await exec('qemu-io', ['-c', 'write -P 0xa5 1M 1M', overlay], { timeoutMs: 10_000 });
  const disk = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${overlay}'/><target dev='vda' bus='virtio'/></disk>`;
  const image = await guestImage();
  guest = await connection.defineDomain(guestXml({ name: 'kept', image, devices: disk }));
  await guest.create();
  await (await GuestConsole.open(guest)).says(/guest ready/);
  // libvirt 9.0 that hears of it just when a backup begins looks at the backup again only after 30 s: the agent's turn waits for the
  // backup's end, and word of that end for the agent's turn.
  await until('the guest’s agent', async () =>
    /name='org\.qemu\.guest_agent\.0' state='connected'/.test(await guest.getXML()) ? true : undefined,
  );
});
afterAll(async () => {
  await connection?.close();
  await libvirt?.stop();
});

test('a backup of a running guest is a whole disk of its own', async () => {
  const file = join(libvirt.folder, 'backup.qcow2');
  await guest.backupBegin(backupXml(file));
  await until('the end of the backup', async () =>
    (await guest.getJobStatistics()).type === 'none' ? true : undefined,
  );
  const { type, statistics } = await guest.getJobStatistics(DomainJobStatsFlag.COMPLETED);
  expect(type).toBe('completed');
  expect(statistics).toMatchObject({ success: true, disk_total: BigInt(DISK_BYTES) });
  const { stdout } = await exec('qemu-img', ['info', '--output=json', file]);
  const info = JSON.parse(stdout);
  expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': DISK_BYTES });
  expect(info['backing-filename']).toBeUndefined();
  // What was never written is not in it.
  expect((await stat(file)).size).toBeLessThan(DISK_BYTES / 4);
  for (const read of ['read -P 0xa5 1M 1M', 'read -P 0x5a 2M 2M', 'read -P 0 4M 1M'])
    await exec('qemu-io', ['-r', '-c', read, file]);
});

test('a backup to where no file can be made is refused, and the guest runs on', async () => {
  await expect(guest.backupBegin(backupXml('/proc/nowhere/backup.qcow2'))).rejects.toMatchObject({
    name: 'LibvirtError',
    operation: 'domainBackupBegin',
  });
  expect((await guest.getState()).state).toBe('running');
  expect((await guest.getJobStatistics()).type).toBe('none');
});

test('the guest’s agent freezes and thaws its file systems', async () => {
  expect(await guest.fsFreeze()).toBe(2);
  expect(await guest.fsThaw()).toBe(2);
});
