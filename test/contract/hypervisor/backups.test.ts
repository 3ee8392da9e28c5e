import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DomainSpec } from '../../../agent/hypervisor/driver.ts';
import { LibvirtDriver } from '../../../agent/hypervisor/libvirt/libvirt-driver.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { refusal } from '../../support/refusal.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aNetwork } from './driver-suite.ts';
import { LibvirtRig } from './libvirt-rig.ts';

describe('backups through libvirt', () => {
  let rig: LibvirtRig;
  let guest: DomainSpec;
  beforeAll(async () => {
    rig = await LibvirtRig.open('contract-backup');
    const network = aNetwork(1);
    await rig.driver.ensureNetwork(network);
    guest = await rig.aGuest(network);
    await rig.driver.startDomain(guest);
    await rig.guestIsUp(guest.name);
  }, 400_000);
  afterAll(() => rig?.close());

  const backups = () => driverOf(rig.driver).backups;
  const file = (name: string) => join(rig.lab.layout.folder, 'guests', name);
  const ended = () =>
    waitFor(
      'the backup to end',
      () => backups().backupProgress(guest.name),
      ({ state }) => state !== 'running',
      60_000,
      20,
    );

  test('a disk is copied whole while its guest runs on; its end is told once', async () => {
    const sum = await rig.shell(
      guest.name,
      'dd if=/dev/urandom of=/root/x bs=1M count=4; sync; sha256sum /root/x',
    );
    const boot = await rig.bootOf(guest.name);
    await backups().beginBackup(guest.name, file('copy.qcow2'));
    expect(await ended()).toEqual({ state: 'completed' });
    expect(await backups().backupProgress(guest.name)).toEqual({ state: 'none' });
    expect(await rig.bootOf(guest.name)).toBe(boot);
    const info = JSON.parse((await exec('qemu-img', ['info', '--output=json', file('copy.qcow2')])).stdout);
    expect([info.format, info['backing-filename']]).toEqual(['qcow2', undefined]);
    await exec('qemu-img', ['check', '-q', file('copy.qcow2')]);
    // Another guest boots from it, and finds what the first one had written.
    const copy = await rig.aGuest(aNetwork(1), { chain: [{ path: file('copy.qcow2'), format: 'qcow2' }] });
    await rig.driver.startDomain(copy);
    await rig.guestIsUp(copy.name);
    const digest = /[0-9a-f]{64}/.exec(sum)?.[0];
    expect(await rig.shell(copy.name, 'sha256sum /root/x')).toContain(String(digest));
    await rig.driver.removeDomain(copy.name);
  });

  test('what is not there is ended without a fuss; a guest without an agent is not frozen, and says why', async () => {
    await backups().abortBackup(guest.name);
    expect(await backups().freeze(guest.name)).toEqual({
      state: 'not-asked',
      reason: 'no guest agent runs in it',
    });
  });

  test('one that cannot be begun leaves the guest as it is', async () => {
    const error = await refusal(backups().beginBackup(guest.name, '/proc/nowhere/copy.qcow2'));
    expect(error.code).toBe('hypervisor-failed');
    expect(await backups().backupProgress(guest.name)).toEqual({ state: 'none' });
    await rig.guestIsUp(guest.name);
  });

  test('another fleet’s domain is nothing to us', async () => {
    const { backups: theirs } = driverOf(rig.neighbour);
    expect((await refusal(theirs.beginBackup(guest.name, file('theirs.qcow2')))).code).toBe('forbidden');
    expect((await refusal(theirs.abortBackup(guest.name))).code).toBe('forbidden');
    await expect(stat(file('theirs.qcow2'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a domain is removed also while its disk is copied', async () => {
    await backups().beginBackup(guest.name, file('cut-short.qcow2'));
    await rig.driver.removeDomain(guest.name);
    expect((await refusal(backups().backupProgress(guest.name))).code).toBe('not-found');
  });
});

function driverOf(driver: unknown): LibvirtDriver {
  if (driver instanceof LibvirtDriver) return driver;
  throw new TypeError('this rig has another driver');
}
