import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { makeContact } from '../../../agent/guest/contact.ts';
import { composeSeed } from '../../../agent/guest/seed.ts';
import { asRoot, type SshSession } from '../../../agent/guest/ssh-session.ts';
import { composeDomainXml } from '../../../agent/hypervisor/libvirt/domain-xml.ts';
import { parseXml } from '../../../agent/hypervisor/libvirt/xml.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';

/** What images that others made expect of their hypervisor. */

const cloudVm = aVmGoal({ image: { ...aVmGoal().image, sshUser: 'debian' } });

test('what Weft runs in a guest runs as root, also where nobody may log in as root', () => {
  expect(asRoot('root', 'sh -s')).toBe('sh -s');
  expect(asRoot('debian', `sh -c 'echo "it''s"'`)).toBe(
    `sudo -n sh -c 'sh -c '\\''echo "it'\\'''\\''s"'\\'''`,
  );
});

test('a user who may not become root is told so, by name', async () => {
  const refusing = {
    run: async () => ({ exitCode: 1, stdout: '', stderr: 'sudo: a password is required\n' }),
  } as unknown as SshSession;
  await expect(makeContact(refusing, cloudVm, FLEET)).rejects.toMatchObject({
    code: 'task-failed',
    message: expect.stringContaining('a password is required'),
    remedy: expect.stringContaining('debian run sudo without a password'),
  });
});

test('the seed gives the key to the user of the image, and a name to the interface it addresses', () => {
  const files = composeSeed({
    vm: cloudVm,
    network: { id: 'crm/web', number: 1, cidr: '10.128.0.0/22', gateway: '10.128.0.1', leases: [] },
    secrets: {
      userPrivateKey: 'PRIVATE',
      userPublicKey: 'ssh-ed25519 USER',
      hostPrivateKey: 'HOST PRIVATE',
      hostPublicKey: 'ssh-ed25519 HOST',
    },
    fleet: FLEET,
  });
  const { users } = parse(files.get('user-data') ?? '');
  expect(users).toContainEqual(
    expect.objectContaining({ name: 'debian', ssh_authorized_keys: ['ssh-ed25519 USER'] }),
  );
  const { ethernets } = parse(files.get('network-config') ?? '');
  expect(ethernets.guest0).toMatchObject({
    match: { macaddress: '52:54:0a:80:00:05' },
    'set-name': 'eth0',
    addresses: ['10.128.0.5/22'],
  });
});

test('an image that boots by UEFI needs no signature', () => {
  const xml = composeDomainXml(
    {
      name: 'weft-5eed-crm-web-0',
      uuid: '11111111-2222-8333-8444-555555555555',
      mark: { fleet: FLEET, id: 'crm/web-0', incarnation: 1, kind: 'instance', rebootGeneration: 0 },
      size: { cpus: 1, memoryMiB: 512, cpuQuotaPercent: null },
      architecture: 'x86_64',
      chain: [{ path: '/pool/1.qcow2', format: 'qcow2' }],
      diskModel: 'virtio',
      diskCache: 'unsafe',
      seedIso: null,
      boot: { method: 'disk', firmware: 'uefi' },
      nic: { model: 'virtio', mac: '52:54:0a:80:00:05', network: 'weft-5eed-1' },
      consoleLog: '/run/console.log',
    },
    { accelerator: 'tcg', cpuQuota: false },
  );
  const os = parseXml(xml).child('domain')?.child('os');
  expect(os?.attribute('firmware')).toBe('efi');
  const feature = os?.child('firmware')?.child('feature');
  expect([feature?.attribute('name'), feature?.attribute('enabled')]).toEqual(['secure-boot', 'no']);
});
