import { spawn } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Guard } from '../../../agent/guard/guard.ts';
import { GuardFolder } from '../../../agent/guard/notes.ts';
import { isAlive, startTicksOf } from '../../../agent/kit/processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { inFolder, put } from './files.ts';

const FLEET = 'abcd0000-0000-4000-8000-000000000000';
const children: ReturnType<typeof spawn>[] = [];
beforeEach(() => {
  children.length = 0;
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Rig {
  readonly folder: GuardFolder;
  readonly clock: { nowMs: number };
  readonly written: () => Promise<string>;
  readonly start: (proc?: string) => Guard;
  readonly lease: (untilMs: number, more?: { released?: boolean; toldWord?: string | null }) => void;
  readonly path: string;
}

/** A guard over files: its device is one, and sysfs is a folder. */
const withRig = (work: (rig: Rig) => Promise<void>, attributes: Readonly<Record<string, string>> = {}) =>
  inFolder(async (path) => {
    const device = `${path}/watchdog`;
    await put(device, '');
    const facts = { timeout: '10', identity: 'iTCO_wdt', options: '0x8180', nowayout: '0', ...attributes };
    for (const [name, text] of Object.entries(facts)) await put(`${path}/class/watchdog0/${name}`, text);
    const clock = { nowMs: 1_000 };
    const folder = new GuardFolder(`${path}/notes`, 'boot-1');
    folder.write('machines', {
      fleet: FLEET,
      watchdog: device,
      sharedPools: [`${path}/san`],
      machines: [],
    });
    await work({
      folder,
      clock,
      path,
      written: () => readFile(device, 'utf8'),
      start: (proc) =>
        new Guard({
          ...(proc ? { proc } : {}),
          folder,
          bootTimeMs: () => clock.nowMs,
          watchdogClass: `${path}/class`,
          isVirtualMachine: false,
          say: () => undefined,
        }),
      lease: (untilMs, { released = false, toldWord = null } = {}) =>
        folder.write('lease', { untilMs, released, toldWord }),
    });
  });

/** What a guard sees as the QEMU of a machine: it ends with its stdin, that is with this test. */
async function aMachine(path: string, name: string, disk: string) {
  await put(`${path}/qemu-fake`, '#!/bin/sh\nread line\n');
  await chmod(`${path}/qemu-fake`, 0o755);
  const child = spawn(`${path}/qemu-fake`, ['-name', `guest=${name}`, '-blockdev', `{"filename":"${disk}"}`]);
  children.push(child);
  const pid = child.pid ?? 0;
  await waitFor(
    'the program to run',
    () => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    (line) => line.includes('qemu-fake') && line.includes(name),
    10_000,
    5,
  );
  return { pid, startTicks: startTicksOf(pid) ?? '' };
}

test('arms when the lease comes, feeds while it is held, and says what its watchdog is worth', () =>
  withRig(async ({ start, lease, written, folder }) => {
    const guard = start();
    expect(guard.round()).toBe(false);
    expect([await written(), folder.read('guard')?.armed]).toEqual(['', false]);
    lease(5_000);
    guard.round();
    expect(folder.read('guard')).toMatchObject({
      armed: true,
      dependable: true,
      timeoutMs: 10_000,
      note: null,
    });
    guard.round();
    guard.round();
    expect(await written()).toBe('..');
  }));

test('stops machines on shared pools when the lease has run out, and feeds again when they have really ended', () =>
  withRig(async ({ start, lease, clock, written, folder, path }) => {
    const db = await aMachine(path, 'weft-abcd-shop-db-1', `${path}/san/machines/shop/db/disk.qcow2`);
    const log = await aMachine(path, 'weft-abcd-shop-log-2', `${path}/local/machines/shop/log/disk.qcow2`);
    const guard = start();
    lease(5_000);
    guard.round();
    clock.nowMs = 4_999;
    guard.round();
    expect(isAlive(db.pid, db.startTicks)).toBe(true);
    clock.nowMs = 5_000;
    guard.round();
    await waitFor(
      'the machine to end',
      async () => isAlive(db.pid, db.startTicks),
      (alive) => !alive,
      10_000,
      5,
    );
    // Not at once, if a program of this machine's that is called like a QEMU is just beginning.
    await waitFor(
      'the watchdog to be fed',
      () => {
        guard.round();
        return written();
      },
      (feeds) => /^\.\.+$/.test(feeds),
      10_000,
      5,
    );
    expect(folder.read('stopped')?.machines).toMatchObject([{ name: 'weft-abcd-shop-db-1', pid: db.pid }]);
    expect(isAlive(log.pid, log.startTicks)).toBe(true);
  }));

test('a program that has only just begun, and does not say what it is, is let be; and nothing is fed until it does', () =>
  withRig(async ({ start, lease, clock, written, folder, path }) => {
    const begun = await aMachine(path, 'weft-ffff-shop-db-1', `${path}/san/machines/shop/db/disk.qcow2`);
    const seen = `${path}/proc/${begun.pid}`;
    await put(`${seen}/comm`, 'qemu-img\n');
    await put(`${seen}/stat`, await readFile(`/proc/${begun.pid}/stat`, 'utf8'));
    await put(`${seen}/task/${begun.pid}/stat`, await readFile(`/proc/${begun.pid}/stat`, 'utf8'));
    await put(`${seen}/cmdline`, '');
    const guard = start(`${path}/proc`);
    lease(5_000);
    guard.round();
    clock.nowMs = 5_000;
    guard.round();
    expect([isAlive(begun.pid, begun.startTicks), await written()]).toEqual([true, '']);
    expect(folder.read('stopped')).toBeNull();
    await put(`${seen}/cmdline`, 'qemu-img\0info\0');
    guard.round();
    expect([isAlive(begun.pid, begun.startTicks), await written()]).toEqual([true, '.']);
  }));

test('a guard that starts after the lease has run out does not open the device: that would feed', () =>
  withRig(async ({ start, lease, clock, folder }) => {
    lease(5_000);
    clock.nowMs = 6_000;
    const guard = start();
    guard.round();
    guard.round();
    expect(folder.read('guard')).toMatchObject({ armed: false });
  }));

test('goes on by what it knew when a note is gone or broken: the lease ends all the same', () =>
  withRig(async ({ start, lease, clock, path, folder }) => {
    const guard = start();
    lease(5_000);
    guard.round();
    await put(`${path}/notes/lease.json`, '{"untilMs": 1e99, "rel');
    await put(`${path}/notes/machines.json`, 'null');
    clock.nowMs = 5_000;
    const db = await aMachine(path, 'weft-abcd-shop-db-1', `${path}/san/machines/shop/db/disk.qcow2`);
    guard.round();
    expect(folder.read('stopped')?.machines).toMatchObject([{ pid: db.pid }]);
  }));

test('disarms by the magic close when it is released, and arms again with the next lease', () =>
  withRig(async ({ start, lease, written, folder }) => {
    const guard = start();
    lease(5_000);
    guard.round();
    lease(0, { released: true });
    expect(guard.round()).toBe(false);
    expect([await written(), folder.read('guard')?.armed]).toEqual(['V', false]);
    lease(9_000);
    guard.round();
    expect(folder.read('guard')?.armed).toBe(true);
  }));

test('asked to end, it says so, waits for the controller to know, and disarms', () =>
  withRig(async ({ start, lease, written, folder, clock }) => {
    const guard = start();
    lease(60_000);
    guard.round();
    const armedWord = folder.read('guard')?.word ?? '';
    guard.leave();
    lease(60_000, { toldWord: armedWord });
    expect(guard.round()).toBe(false);
    expect(folder.read('guard')?.armed).toBe(false);
    clock.nowMs += 9_000;
    lease(60_000, { toldWord: folder.read('guard')?.word ?? null });
    expect(guard.round()).toBe(true);
    expect(await written()).toBe('.V');
  }));

test('asked to end with nobody to tell, it ends with the watchdog armed', () =>
  withRig(async ({ start, lease, written, clock }) => {
    const guard = start();
    lease(60_000);
    guard.round();
    guard.leave();
    guard.round();
    clock.nowMs += 10_000;
    expect(guard.round()).toBe(true);
    expect(await written()).not.toContain('V');
  }));

test('a device that nothing disarms is fed on when the guard is released', () =>
  withRig(
    async ({ start, lease, written }) => {
      const guard = start();
      lease(5_000);
      guard.round();
      lease(0, { released: true });
      guard.round();
      expect(await written()).toBe('.');
    },
    { nowayout: '1' },
  ));

test('a device that is not there is told of, and the machines are guarded all the same', () =>
  withRig(async ({ start, lease, folder, path, clock }) => {
    folder.write('machines', {
      ...{ fleet: FLEET, watchdog: `${path}/no-such`, sharedPools: [`${path}/san`], machines: [] },
    });
    const guard = start();
    lease(5_000);
    guard.round();
    expect(folder.read('guard')).toMatchObject({ armed: false, dependable: false, note: 'ENOENT' });
    clock.nowMs = 5_000;
    const db = await aMachine(path, 'weft-abcd-shop-db-1', `${path}/san/machines/shop/db/disk.qcow2`);
    guard.round();
    expect(folder.read('stopped')?.machines).toMatchObject([{ pid: db.pid }]);
  }));
