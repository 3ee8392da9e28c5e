import { expect, test } from 'vitest';
import type { DomainSpec } from '../../../agent/hypervisor/driver.ts';
import { composeBackupXml, hasGuestAgent } from '../../../agent/hypervisor/libvirt/backups.ts';
import { composeDomainXml, hasScreen, readDomainXml } from '../../../agent/hypervisor/libvirt/domain-xml.ts';
import { composeNetworkXml, readNetworkXml } from '../../../agent/hypervisor/libvirt/network-xml.ts';
import { parseXml } from '../../../agent/hypervisor/libvirt/xml.ts';
import { FLEET } from '../../support/builders/goal.ts';

const spec: DomainSpec = {
  name: 'weft-5eed-crm-web-0-abcdef',
  uuid: '11111111-2222-8333-8444-555555555555',
  mark: { fleet: FLEET, id: 'crm/web-0', incarnation: 3, kind: 'instance', rebootGeneration: 1 },
  size: { cpus: 2, memoryMiB: 256, cpuQuotaPercent: 50 },
  architecture: 'x86_64',
  chain: [
    { path: '/pool/3.qcow2', format: 'qcow2' },
    { path: '/blobs/top.qcow2', format: 'qcow2' },
    { path: '/blobs/base.qcow2', format: 'qcow2' },
  ],
  diskModel: 'virtio',
  diskCache: 'unsafe',
  seedIso: '/run/seed.iso',
  boot: { method: 'kernel', kernel: '/k', initrd: '/i', commandLine: `a="<b>&'c'"` },
  nic: { model: 'virtio', mac: '52:54:0a:80:00:05', network: 'weft-5eed-1' },
  consoleLog: '/run/console.log',
};

test('what a user wrote stays text: a kernel command line with markup comes back as it was', () => {
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: true });
  expect(xml).not.toContain('<b>');
  const [os] = parseXml(xml).child('domain')?.children('os') ?? [];
  expect(os?.child('cmdline')).toBeDefined();
  expect(xml).toContain('&lt;b&gt;&amp;');
});

test('mark, overlay and every file are read back from the XML, and the whole backing chain is in it', () => {
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: true });
  expect(readDomainXml(xml)).toEqual({
    mark: spec.mark,
    overlay: '/pool/3.qcow2',
    files: ['/pool/3.qcow2', '/blobs/top.qcow2', '/blobs/base.qcow2', '/run/seed.iso', '/k', '/i'],
  });
  const disk = parseXml(xml).child('domain')?.child('devices')?.child('disk');
  const second = disk?.child('backingStore');
  expect(second?.child('source')?.attribute('file')).toBe('/blobs/top.qcow2');
  const third = second?.child('backingStore');
  expect(third?.child('source')?.attribute('file')).toBe('/blobs/base.qcow2');
  expect(third?.child('backingStore')?.child('source')).toBeUndefined();
});

test('the accelerator decides the kind of domain, and a cap is written only where it can be kept', () => {
  const tcg = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false });
  expect(tcg).toContain('type="qemu"');
  expect(tcg).toContain('tb-cache');
  expect(tcg).not.toContain('quota');
  const kvm = composeDomainXml(spec, { accelerator: 'kvm', cpuQuota: true });
  expect(kvm).toContain('type="kvm"');
  expect(kvm).not.toContain('tb-cache');
  expect(kvm).toContain('<quota>50000</quota>');
});

test('a panic and a hang are kept for the agent; the watchdog sits on the root bus, so no bridge is made for it', () => {
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false });
  const devices = parseXml(xml).child('domain')?.child('devices');
  expect(xml).toContain('<on_crash>preserve</on_crash>');
  expect(devices?.child('panic')?.attribute('model')).toBe('isa');
  const watchdog = devices?.child('watchdog');
  expect(watchdog?.attribute('model')).toBe('i6300esb');
  expect(watchdog?.attribute('action')).toBe('pause');
  expect(watchdog?.child('address')?.attribute('bus')).toBe('0');
});

test('a guest that boots its kernel directly has no screen, one that boots from its disk has', () => {
  const abilities = { accelerator: 'tcg', cpuQuota: false } as const;
  expect(hasScreen(composeDomainXml(spec, abilities))).toBe(false);
  const boot = { method: 'disk', firmware: 'uefi' } as const;
  expect(hasScreen(composeDomainXml({ ...spec, boot }, abilities))).toBe(true);
});

test('a capability to do without is written in the namespace of QEMU, and read past', () => {
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false }, 'cpu-unavailable-features');
  expect(xml).toContain('<qemu:del capability="cpu-unavailable-features"/>');
  expect(readDomainXml(xml).mark).toEqual(spec.mark);
  expect(composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false })).not.toContain('qemu:');
});

test('the overlay is cached as the pool and the kind of VM ask for', () => {
  const cacheOf = (diskCache: DomainSpec['diskCache']) =>
    parseXml(composeDomainXml({ ...spec, diskCache }, { accelerator: 'tcg', cpuQuota: false }))
      .child('domain')
      ?.child('devices')
      ?.child('disk')
      ?.child('driver')
      ?.attribute('cache');
  for (const cache of ['unsafe', 'writeback', 'none'] as const) expect(cacheOf(cache)).toBe(cache);
});

test('a domain without our element, or with half of it, is nobody of ours', () => {
  expect(readDomainXml('<domain><name>x</name></domain>').mark).toBeNull();
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false });
  expect(readDomainXml(xml.replace('incarnation="3"', '')).mark).toBeNull();
});

test('a network keeps its mark and its reservations', () => {
  const leases = [{ mac: '52:54:0a:80:00:05', address: '10.128.0.5', hostname: 'web-0' }];
  const xml = composeNetworkXml({
    name: 'weft-5eed-1',
    mark: { fleet: FLEET, id: 'crm/web' },
    bridge: 'wb5eed-1',
    gateway: '10.128.0.1',
    prefix: 22,
    leases,
  });
  expect(readNetworkXml('weft-5eed-1', xml, true)).toEqual({
    name: 'weft-5eed-1',
    mark: { fleet: FLEET, id: 'crm/web' },
    active: true,
    bridge: 'wb5eed-1',
    leases,
  });
});

test('a backup is of the disk that the guest writes, and of no other', () => {
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false });
  const backup = parseXml(composeBackupXml(xml, '/vault/a&b.qcow2')).child('domainbackup');
  expect(backup?.attribute('mode')).toBe('push');
  const [disk, seed] = backup?.child('disks')?.children('disk') ?? [];
  expect([disk?.attribute('name'), disk?.attribute('backup')]).toEqual(['vda', 'yes']);
  expect(disk?.child('driver')?.attribute('type')).toBe('qcow2');
  expect(disk?.child('target')?.attribute('file')).toBe('/vault/a&b.qcow2');
  expect([seed?.attribute('name'), seed?.attribute('backup')]).toEqual(['vdb', 'no']);
  expect(() => composeBackupXml(xml.replaceAll('device="disk"', 'device="cdrom"'), '/x')).toThrow('one disk');
});

test('a guest has an agent when somebody listens at its channel, and not at another one', () => {
  const channel = (name: string, state: string) =>
    `<domain><devices><channel type='unix'><target type='virtio' name='${name}'${state}/></channel></devices></domain>`;
  expect(hasGuestAgent(channel('org.qemu.guest_agent.0', " state='connected'"))).toBe(true);
  expect(hasGuestAgent(channel('org.qemu.guest_agent.0', " state='disconnected'"))).toBe(false);
  expect(hasGuestAgent(channel('org.qemu.guest_agent.0', ''))).toBe(false);
  expect(hasGuestAgent(channel('com.redhat.spice.0', " state='connected'"))).toBe(false);
});

test('a disk in Ceph is a network disk whose key libvirt keeps, and is read back as the one that is written', () => {
  const xml = composeDomainXml(
    {
      ...spec,
      chain: [],
      diskCache: 'none',
      rbd: {
        ...{ pool: 'vms', image: 'machine.crm.db', conf: '/etc/ceph/ceph.conf', user: 'weft', keyring: '/k' },
        secret: { uuid: '22222222-2222-8333-8444-555555555555', name: 'weft-5eed-ceph' },
      },
    },
    { accelerator: 'tcg', cpuQuota: true },
  );
  const [disk] = parseXml(xml).child('domain')?.child('devices')?.children('disk') ?? [];
  expect(disk?.attribute('type')).toBe('network');
  expect(disk?.child('driver')?.attribute('cache')).toBe('none');
  expect(disk?.child('source')?.attribute('name')).toBe('vms/machine.crm.db');
  expect(disk?.child('source')?.child('config')?.attribute('file')).toBe('/etc/ceph/ceph.conf');
  expect(disk?.child('auth')?.child('secret')?.attribute('uuid')).toBe(
    '22222222-2222-8333-8444-555555555555',
  );
  expect(xml).not.toContain('"/k"');
  const read = readDomainXml(xml);
  expect(read.overlay).toBe('rbd:vms/machine.crm.db');
  expect(read.files).toEqual(['/run/seed.iso', '/k', '/i']);
  expect(composeBackupXml(xml, '/backup')).toContain('vda');
});
