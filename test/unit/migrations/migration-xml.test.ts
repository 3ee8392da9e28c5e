import { expect, test } from 'vitest';
import { readDomainXml } from '../../../agent/hypervisor/libvirt/domain-xml.ts';
import { describeThere } from '../../../agent/hypervisor/libvirt/migration-xml.ts';
import { readGuestOwner } from '../../../agent/hypervisor/libvirt/migrations.ts';

const FROM = {
  disk: '/pools/a&b/machines/crm/db/disk.qcow2',
  seed: '/var/lib/weft/agent/run/crm/db/seed-3.iso',
  console: '/var/lib/weft/agent/run/crm/db/console.log',
};
const TO = { disk: "/mnt/o'san/disk.qcow2", seed: '/srv/seed-4.iso', console: '/srv/console.log' };
const WAY = { from: FROM, to: TO, standsStill: false };
const XML = `<domain type='kvm'>
  <metadata><weft:vm xmlns:weft="urn:weft:1" fleet="f" id="crm/db" incarnation="3" kind="machine" rebootGeneration="2"/></metadata>
  <devices>
    <disk><source file='/pools/a&amp;b/machines/crm/db/disk.qcow2'/><backingStore><source file='/blobs/base.qcow2'/></backingStore></disk>
    <disk><source file='/var/lib/weft/agent/run/crm/db/seed-3.iso'/></disk>
    <serial><log file='/var/lib/weft/agent/run/crm/db/console.log' append='on'/></serial>
  </devices>
</domain>`;

test('a domain is described as the other host has it: its mark and its files, and nothing else, are another', () => {
  const there = describeThere(XML, { ...WAY, incarnation: 4 });
  expect(there).toContain('incarnation="4" kind="machine" rebootGeneration="2"');
  expect(there).toContain("file='/mnt/o&apos;san/disk.qcow2'");
  expect(there).toContain("file='/srv/seed-4.iso'");
  expect(there).toContain("file='/srv/console.log' append='on'");
  expect(there).toContain("file='/blobs/base.qcow2'");
  expect(describeThere(there, { ...WAY, from: TO, to: FROM, incarnation: 3 }).replaceAll('&apos;', "'")).toBe(
    XML,
  );
});

test('what does not carry exactly one mark of ours is not handed over', () => {
  expect(() => describeThere('<domain/>', { ...WAY, incarnation: 4 })).toThrow('one mark');
  expect(() => describeThere(XML + XML, { ...WAY, incarnation: 4 })).toThrow('one mark');
});

test('a disk in Ceph is opened there as that host opens it, and the mark says that it stands still', () => {
  const xml = `<domain type='qemu'>
  <metadata><weft:vm xmlns:weft="urn:weft:1" fleet="f" id="crm/db" incarnation="3" kind="machine" rebootGeneration="2"/></metadata>
  <disk type='network'><auth username='weft'><secret type='ceph' uuid='u'/></auth>
    <source protocol='rbd' name='vms/machine.crm.db'><config file='/etc/ceph/ceph.conf'/></source></disk>
</domain>`;
  const disk = 'rbd:vms/machine.crm.db';
  const from = { ...FROM, disk, ceph: { conf: '/etc/ceph/ceph.conf', user: 'weft' } };
  const to = { ...TO, disk, ceph: { conf: '/srv/ceph/ours.conf', user: 'weft-2' } };
  const there = describeThere(xml, { from, to, incarnation: 4, standsStill: true });
  expect(there).toContain(`<auth username='weft-2'><secret type='ceph' uuid='u'/>`);
  expect(there).toContain(
    `<source protocol='rbd' name='vms/machine.crm.db'><config file='/srv/ceph/ours.conf'/>`,
  );
  const markOf = (text: string) => readDomainXml(text).mark;
  const mark = { fleet: 'f', id: 'crm/db', incarnation: 4, kind: 'machine', rebootGeneration: 2 };
  expect(markOf(there)).toEqual({ ...mark, standsStill: true });
  expect(markOf(xml)).not.toHaveProperty('standsStill');
  // It was not cleared before it left again.
  const again = describeThere(there, { from: to, to: from, incarnation: 5, standsStill: true });
  expect(again.match(/standsStill/g)).toHaveLength(1);
});

test('whom guests belong to is what libvirt says', () => {
  const capabilities = (label: string) =>
    `<capabilities><host><secmodel><model>none</model></secmodel><secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>${label}</baselabel><baselabel type='qemu'>${label}</baselabel></secmodel></host></capabilities>`;
  expect(readGuestOwner(capabilities('+64055:+109'))).toEqual({ uid: 64_055, gid: 109 });
  expect(readGuestOwner(capabilities('nobody'))).toBe(null);
  expect(readGuestOwner('<capabilities/>')).toBe(null);
});
