import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { composeSeed } from '../../../agent/guest/seed.ts';
import type { DomainSpec } from '../../../agent/hypervisor/driver.ts';
import { composeDomainXml } from '../../../agent/hypervisor/libvirt/domain-xml.ts';
import { parseXml } from '../../../agent/hypervisor/libvirt/xml.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';

const seedWith = (mtu?: number) =>
  composeSeed({
    vm: aVmGoal(),
    network: { id: 'crm/web', number: 1, cidr: '10.128.0.0/22', gateway: '10.128.0.1', leases: [] },
    secrets: { userPrivateKey: 'a', userPublicKey: 'b', hostPrivateKey: 'c', hostPublicKey: 'd' },
    fleet: FLEET,
    mtu,
  });

const interfaceWith = (mtu?: number) => {
  const spec: DomainSpec = {
    ...{ name: 'weft-5eed-crm-web-0', uuid: '11111111-2222-8333-8444-555555555555' },
    mark: { fleet: FLEET, id: 'crm/web-0', incarnation: 1, kind: 'instance', rebootGeneration: 0 },
    size: { cpus: 1, memoryMiB: 128, cpuQuotaPercent: null },
    ...{ architecture: 'x86_64', diskModel: 'virtio', diskCache: 'unsafe', seedIso: null },
    chain: [{ path: '/pool/1.qcow2', format: 'qcow2' }],
    boot: { method: 'disk', firmware: 'bios' },
    nic: {
      ...{ model: 'virtio', mac: '52:54:0a:80:00:05', network: 'weft-5eed-1' },
      ...(mtu === undefined ? {} : { mtu }),
    },
    consoleLog: '/run/console.log',
  };
  const xml = composeDomainXml(spec, { accelerator: 'tcg', cpuQuota: false });
  return parseXml(xml).child('domain')?.child('devices')?.child('interface');
};

test('a guest is told its MTU by its device, and by its seed in both of its forms', () => {
  const files = seedWith(1_390);
  expect(parse(files.get('network-config') ?? '').ethernets.guest0.mtu).toBe(1_390);
  expect(files.get('weft/network')).toMatch(/^MTU=1390$/m);
  expect(interfaceWith(1_390)?.child('mtu')?.attribute('size')).toBe('1390');
});

test('where nobody knows what the underlay carries, a guest is told nothing', () => {
  const files = seedWith();
  expect(parse(files.get('network-config') ?? '').ethernets.guest0).not.toHaveProperty('mtu');
  expect(files.get('weft/network')).not.toContain('MTU');
  expect(interfaceWith()?.child('mtu')).toBeUndefined();
});
