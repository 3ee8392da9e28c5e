import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DomainEvent } from '../../../agent/hypervisor/driver.ts';
import { LibvirtDriver } from '../../../agent/hypervisor/libvirt/libvirt-driver.ts';
import { Background } from '../../support/background.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aNetwork } from './driver-suite.ts';
import { LibvirtRig, macOf } from './libvirt-rig.ts';
import { FLEET } from './rig.ts';

describe('a libvirtd that', () => {
  let rig: LibvirtRig;
  beforeAll(async () => {
    rig = await LibvirtRig.open('contract-2');
  }, 400_000);
  afterAll(() => rig?.close());

  test('is killed takes no guest with it: the driver says so, comes back, and finds all as it was', async () => {
    const { driver } = rig;
    const lease = { mac: macOf(1), address: '10.128.1.77', hostname: 'web-0' };
    const network = aNetwork(1, { leases: [lease] });
    await driver.ensureNetwork(network);
    const spec = await rig.aGuest(network);
    await driver.startDomain(spec);
    await rig.guestIsUp(spec.name);
    const boot = await rig.bootOf(spec.name);

    const heard: DomainEvent[] = [];
    driver.onEvent((event) => heard.push(event));
    await rig.killDaemon();
    await waitFor(
      'the driver to be connected again',
      async () => heard.map((event) => event.type),
      (types) =>
        types.includes('disconnected') && types.lastIndexOf('connected') > types.indexOf('disconnected'),
      60_000,
      20,
    );
    expect(await driver.listDomains()).toMatchObject([
      { name: spec.name, mark: spec.mark, state: 'running' },
    ]);
    expect(await driver.listNetworks()).toMatchObject([
      { name: network.name, active: true, leases: [lease] },
    ]);
    expect(await rig.bootOf(spec.name)).toBe(boot);

    // The reserved address is what the guest really has.
    await waitFor(
      'the guest’s address',
      () => rig.shell(spec.name, 'ip -4 -o addr show eth0'),
      (text) => text.includes(`${lease.address}/24`),
      60_000,
    );
    await driver.removeDomain(spec.name);
    await driver.removeNetwork(network.name);
    expect(await rig.virsh('list', '--all', '--name')).toBe('');
    expect(await rig.virsh('net-list', '--all', '--name')).toBe('');
  });

  test('asks whom the host asks for the world’s names, another for the fleet’s, and where names of the world are none of a network’s, nobody for those', async () => {
    const { driver, lab } = rig;
    const [above, ofFleet] = ['127.0.0.53', '10.191.252.1'];
    const program = join(import.meta.dirname, 'resolver.py');
    const onHost = async (...command: readonly string[]) => (await lab.exec('h1', command)).stdout.trim();
    const file = join(lab.layout.folder, 'resolv.conf');
    await writeFile(file, `nameserver ${above}\n`);
    await onHost('mount', '--bind', file, '/etc/resolv.conf');
    await onHost('ip', 'address', 'add', `${ofFleet}/32`, 'dev', 'lo');
    const heard = await Background.start(lab, 'h1', ['python3', program, 'serve', above, ofFleet]);
    await heard.says('listening', 60_000);
    const network = aNetwork(3, { resolver: { zone: 'weft.internal', address: ofFleet } });
    const ask = (name: string) => onHost('python3', program, 'ask', network.gateway, name);
    const [answered, refused] = ['0 1', '5 0'];

    await driver.ensureNetwork(network);
    expect([await ask('open.example'), await ask('web.crm.weft.internal')]).toEqual([answered, answered]);
    await heard.says(`${above} open.example`);
    await heard.says(`${ofFleet} web.crm.weft.internal`);
    await driver.remakeNetwork({ ...network, namesOnly: true });
    expect([await ask('closed.example'), await ask('db.crm.weft.internal')]).toEqual([refused, answered]);
    await heard.says(`${ofFleet} db.crm.weft.internal`);
    // Where nobody is asked for the fleet's names either.
    const { resolver: _none, ...alone } = network;
    await driver.remakeNetwork({ ...alone, namesOnly: true });
    expect([await ask('closed.example'), await ask('closed.weft.internal')]).toEqual([refused, refused]);
    await driver.remakeNetwork(network);
    expect(await ask('again.example')).toBe(answered);
    await heard.says(`${above} again.example`);
    expect(heard.output).not.toContain('closed');

    await heard.interrupt();
    await driver.removeNetwork(network.name);
    await onHost('umount', '/etc/resolv.conf');
  });

  test('does not know a capability that it is to do without starts the guest all the same', async () => {
    const driver = rig.openDriver(FLEET, 'no-such-capability');
    const network = aNetwork(2);
    await driver.ensureNetwork(network);
    const spec = await rig.aGuest(network);
    await driver.startDomain(spec);
    expect(await driver.listDomains()).toMatchObject([
      { name: spec.name, mark: spec.mark, state: 'running' },
    ]);
    expect(await rig.virsh('dumpxml', '--inactive', spec.name)).not.toContain('no-such-capability');
    await driver.removeDomain(spec.name);
    await driver.removeNetwork(network.name);
    await driver.close();
  });

  test('does not answer is reported within its limit, with what to look at', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-silent-'));
    const sockets = new Set<Socket>();
    const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => server.listen(join(folder, 'sock'), resolve));
    const driver = new LibvirtDriver({
      uri: `qemu:///system?socket=${join(folder, 'sock')}`,
      fleet: FLEET,
      abilities: { accelerator: 'tcg', cpuQuota: false },
      log: pino({ level: 'silent' }),
    });
    const asked = await driver.listDomains().catch((error: unknown) => error);
    expect(asked).toMatchObject({
      code: 'host-unreachable',
      message: 'libvirt did not answer in time: list domains',
      remedy: 'Look at libvirtd on this host: systemctl status libvirtd',
    });
    for (const socket of sockets) socket.destroy();
    server.close();
    await driver.close();
    await rm(folder, { recursive: true, force: true });
  });
});
