import { afterAll, beforeAll, expect, test } from 'vitest';
import { Connection } from '../src/index.ts';
import { emptyMachineXml } from './support/guest-xml.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';

/** A daemon that sends no keep-alive: what would be sent with the next of those is never sent here. */

let libvirt: PrivateLibvirt;
beforeAll(async () => {
  libvirt = await PrivateLibvirt.start({ name: 'together', keepAliveSeconds: -1 });
});
afterAll(() => libvirt?.stop());

test('calls beside one that takes long are sent at once', async () => {
  const connection = await Connection.open(libvirt.uri, { keepAlive: null });
  const domain = await connection.defineDomain(emptyMachineXml('held'));
  await domain.create();
  const process = (await libvirt.run('cat', '/run/libvirt/qemu/held.pid')).trim();
  await libvirt.run('kill', '-STOP', process);
  let isOver = false;
  const takesLong = domain.suspend().finally(() => {
    isOver = true;
  });
  // One in six hundred was not, before the addon had its remedy.
  for (let round = 0; round < 1_500; round++)
    await Promise.all(Array.from({ length: 8 }, () => connection.getHostname({ timeoutMs: 30_000 })));
  expect(isOver).toBe(false);
  await libvirt.run('kill', '-CONT', process);
  await takesLong;
  await domain.destroy();
  await domain.undefine();
  await connection.close();
});
