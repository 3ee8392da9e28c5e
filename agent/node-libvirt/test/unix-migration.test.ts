import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../kit/exec.ts';
import { Connection, DomainJobStatsFlag, DomainMigrateFlag, DomainXmlFlag } from '../src/index.ts';
import { GuestConsole } from './support/console.ts';
import { guestImage } from './support/guest-image.ts';
import { guestXml } from './support/guest-xml.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';

/**
 * A guest between two libvirtds that have no network in common: every byte goes through unix sockets. It stands still meanwhile: QEMU's
 * emulator misses pages that a guest changes while they are sent.
 */

const MOVE = DomainMigrateFlag.PEER2PEER | DomainMigrateFlag.PERSIST_DEST | DomainMigrateFlag.UNDEFINE_SOURCE;

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

const disk = (path: string) =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;

test('memory and disk go over unix sockets, and the target has the description that was given for it', async () => {
  const image = await guestImage();
  const [source, target] = await Promise.all([Connection.open(here.uri), Connection.open(there.uri)]);
  const [from, to] = [join(here.folder, 'disk.qcow2'), join(there.folder, 'disk.qcow2')];
  for (const path of [from, to]) await exec('qemu-img', ['create', '-q', '-f', 'qcow2', path, '64M']);
  const mark = (text: string) => `<metadata><t:m xmlns:t='urn:test'>${text}</t:m></metadata>`;
  const xml = guestXml({ name: 'mover', image, devices: disk(from) }).replace(
    '<memory',
    `${mark('one')}<memory`,
  );
  const domain = await source.defineDomain(xml);
  await domain.create();
  const shell = await GuestConsole.open(domain);
  await shell.says(/guest ready/);
  await shell.run('carried=along; echo written | dd of=/dev/vda conv=fsync 2>/dev/null');

  const change = (text: string) => text.replace('>one<', '>two<').replace(from, to);
  await domain.migrateToURI(there.migrationUri, MOVE | DomainMigrateFlag.NON_SHARED_DISK, {
    migrationUri: `unix://${there.folder}/memory.sock`,
    disksUri: `unix://${there.folder}/disks.sock`,
    migrateDisks: ['vda'],
    destinationXml: change(await domain.getXML(DomainXmlFlag.MIGRATABLE | DomainXmlFlag.SECURE)),
    persistentXml: change(
      await domain.getXML(DomainXmlFlag.INACTIVE | DomainXmlFlag.MIGRATABLE | DomainXmlFlag.SECURE),
    ),
  });
  const moved = await target.lookupDomainByName('mover');
  const live = await moved.getXML();
  expect(live).toContain('>two<');
  expect(live).toContain(to);
  expect(live).not.toContain(from);
  const kept = await moved.getXML(DomainXmlFlag.INACTIVE);
  expect(kept).toContain('>two<');
  expect(kept).toContain(to);
  const { type, statistics } = await moved.getJobStatistics(DomainJobStatsFlag.COMPLETED);
  expect(type).toBe('completed');
  expect(statistics.downtime).toBeGreaterThan(0n);
  expect(await moved.getState()).toMatchObject({ state: 'running', reason: 'migrated' });
  expect(await source.listAllDomains()).toEqual([]);
  const again = await GuestConsole.open(moved);
  expect(await again.run('echo "carried $carried"; head -c 7 /dev/vda')).toContain('carried along');
  await moved.destroy();
  await moved.undefine();
  await Promise.all([source.close(), target.close()]);
});
