import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../kit/exec.ts';
import { Connection, DomainMigrateFlag, DomainXmlFlag } from '../src/index.ts';
import { GuestConsole } from './support/console.ts';
import { guestImage } from './support/guest-image.ts';
import { guestXml } from './support/guest-xml.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';

/**
 * What copying a disk along relies on: the guest runs while its disk is sent, although it stands still while its memory is; only the
 * top file is sent; and it is there as it was, paused, until it is told to run.
 */

const COPY =
  DomainMigrateFlag.PEER2PEER |
  DomainMigrateFlag.PERSIST_DEST |
  DomainMigrateFlag.UNDEFINE_SOURCE |
  DomainMigrateFlag.ABORT_ON_ERROR |
  DomainMigrateFlag.NON_SHARED_INC |
  DomainMigrateFlag.PAUSED |
  DomainMigrateFlag.UNSAFE;

let here: PrivateLibvirt;
let there: PrivateLibvirt;
beforeAll(async () => {
  [here, there] = await Promise.all([
    PrivateLibvirt.start({ name: 'here' }),
    PrivateLibvirt.start({ name: 'there' }),
  ]);
});
afterAll(async () => {
  await Promise.all([there?.stop(), here?.stop()]);
});

const disk = (path: string, base: string) =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/><source file='${path}'/><backingStore type='file'><format type='qcow2'/><source file='${base}'/><backingStore/></backingStore><target dev='vda' bus='virtio'/></disk>`;

test('the top of a disk goes along while the guest runs, and the guest waits there, paused', async () => {
  const image = await guestImage();
  const [source, target] = await Promise.all([Connection.open(here.uri), Connection.open(there.uri)]);
  const base = join(here.folder, 'base.qcow2');
  const raw = join(here.folder, 'base.raw');
  await writeFile(raw, 'golden');
  await exec('truncate', ['-s', '64M', raw]);
  await exec('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', raw, base]);
  const [from, to] = [join(here.folder, 'disk.qcow2'), join(there.folder, 'disk.qcow2')];
  for (const path of [from, to])
    await exec('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, path, '64M']);
  const domain = await source.defineDomain(guestXml({ name: 'mover', image, devices: disk(from, base) }));
  await domain.create();
  const shell = await GuestConsole.open(domain);
  await shell.says(/guest ready/);
  await shell.run(
    'carried=along; dd if=/dev/urandom of=/dev/vda bs=64k seek=16 count=256 conv=fsync 2>/dev/null; sum=$(md5sum </dev/vda)',
  );
  const change = (text: string) => text.replace(from, to);
  let isOver = false;
  const migration = domain
    .migrateToURI(there.migrationUri, COPY, {
      migrationUri: `unix://${there.folder}/memory.sock`,
      disksUri: `unix://${there.folder}/disks.sock`,
      migrateDisks: ['vda'],
      // Slow enough to be seen in the middle.
      bandwidthMiBps: 8n,
      destinationXml: change(await domain.getXML(DomainXmlFlag.MIGRATABLE | DomainXmlFlag.SECURE)),
      persistentXml: change(
        await domain.getXML(DomainXmlFlag.INACTIVE | DomainXmlFlag.MIGRATABLE | DomainXmlFlag.SECURE),
      ),
    })
    .finally(() => {
      isOver = true;
    });
  const seen = new Set<string>();
  while (!isOver) {
    const job = await domain.getJobStatistics(0).catch(() => null);
    // Asked after the job: a guest that runs then ran while the job was what it was.
    const { state } = await domain.getState().catch(() => ({ state: 'gone' }));
    if (Number(job?.statistics.disk_total ?? 0) > 0 && Number(job?.statistics.memory_total ?? 0) === 0)
      seen.add(`disk, ${state}`);
    await sleep(50);
  }
  await migration;
  expect([...seen]).toContain('disk, running');
  expect(await source.listAllDomains()).toEqual([]);
  const moved = await target.lookupDomainByName('mover');
  expect(await moved.getState()).toMatchObject({ state: 'paused', reason: 'user' });
  const again = await GuestConsole.open(moved);
  await moved.resume();
  expect(
    await again.run(
      'echo 3 >/proc/sys/vm/drop_caches; [ "$(md5sum </dev/vda)" = "$sum" ] && echo "carried $carried"; head -c 6 /dev/vda',
    ),
  ).toContain('carried along');
  await moved.destroy();
  await moved.undefine();
  await Promise.all([source.close(), target.close()]);
});
