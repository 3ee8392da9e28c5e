import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskOf, supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { waitFor } from '../support/wait-for.ts';

const DB = 'shop/db';
const MODEL = (image: string) => `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  db: {image: "${image}", size: ${TINY}, pool: local}
`;
const BOOT_ID = 'cat /proc/sys/kernel/random/boot_id';
const BACKUPS = '/var/lib/weft/backups';

interface Backup {
  readonly backup: string;
  readonly state: string;
  readonly reason: string;
  readonly host: string;
  readonly failure: { readonly message: string } | null;
  readonly made: { readonly sizeBytes: number; readonly digest: string; readonly consistency: string } | null;
}
interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly remedy?: string };
}

describe('backups of a machine', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    golden = await goldenLab('backups', {
      hosts: 2,
      shared: ['common'],
      agent: { backups: [{ name: 'vault', path: BACKUPS }] },
    });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL('tiny:stable')), '--wait'], {
      timeoutMs: 400_000,
    });
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const ssh = (id: string, command: string) => golden.weft.inside(id, command);
  /** Bytes that nobody can guess, flushed; their digest as the guest computes it. */
  const write = (id: string) =>
    ssh(id, 'dd if=/dev/urandom of=/root/data bs=1M count=12 2>/dev/null && sync && sha256sum </root/data');
  const digest = (id: string) => ssh(id, 'sha256sum </root/data');
  const backups = (id = DB): Promise<readonly Backup[]> => golden.weft.backups(id);
  const backUp = (id = DB, target = 'vault') =>
    golden.weft.json<Backup>(['machine', 'backup', id, '--to', target, '--wait'], { timeoutMs: 300_000 });
  const homeOf = async (id: string) => String(rowOf(await golden.weft.ps(), id).host);
  /** Until a backup that was asked for has ended. */
  const endOf = async (id: string, backup: string) =>
    (
      await waitFor(
        'the backup to end',
        // The controller may be on its way back.
        () => backups(id).catch(() => []),
        (found) => found.some((row) => row.backup === backup && row.state !== 'wanted'),
      )
    ).find((row) => row.backup === backup);
  /** libvirt was killed while it began this backup, and knows no more which: what it says to be done is done. */
  const anotherAfterOff = async ({ failure }: Backup, boot: string) => {
    expect(failure?.message).toContain('lost track of it');
    await golden.weft.run(['ssh', DB, '--', 'poweroff']);
    await waitFor(
      'the machine to run again',
      () => golden.weft.run(['ssh', DB, '--', BOOT_ID]),
      ({ exitCode, stdout }) => exitCode === 0 && stdout.trim() !== '' && stdout.trim() !== boot,
    );
    return backUp();
  };
  const halves = async (host: string) => (await entries(host)).filter((path) => path.includes('.tmp'));
  const kill = async (name: string, program: 'weft-agent' | 'libvirtd-supervised') =>
    process.kill(await supervisedPid(await golden.lab.host(name), program), 'SIGKILL');
  /** The folder of a host's backups, as this machine sees it. */
  const folderOf = async (host: string) => {
    const { hosts } = await golden.lab.state();
    const found = hosts.find(({ name }) => name === host);
    if (!found) throw new Error(`the lab has no host ${host}`);
    return join(diskOf(golden.lab.layout, found), BACKUPS, DB);
  };
  /** What there is of backups on a host: finished ones, and halves. */
  const entries = async (host: string) =>
    (
      await golden.lab.exec(host, ['find', BACKUPS, '-mindepth', '3', '-maxdepth', '3', '-type', 'd'], {
        okExitCodes: [0, 1],
      })
    ).stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '');

  test('live, and restored to a new name: the bytes are those of the moment of the backup', async () => {
    const before = await write(DB);
    const boots = await ssh(DB, BOOT_ID);
    const backup = await backUp();
    expect(backup).toMatchObject({ state: 'done', reason: 'asked' });
    // The tiny image has no guest agent.
    expect(backup.made?.consistency).toBe('crash-consistent');
    const after = await write(DB);
    expect(after).not.toBe(before);
    const { image, host } = rowOf(await golden.weft.ps('shop'), DB);

    await golden.weft.ok(['machine', 'restore', backup.backup, '--as', 'copy', '--wait'], {
      timeoutMs: 400_000,
    });
    expect(await digest('shop/copy')).toBe(before);
    // The machine that was backed up has noticed nothing.
    expect(await digest(DB)).toBe(after);
    expect(await ssh(DB, BOOT_ID)).toBe(boots);
    const copy = rowOf(await golden.weft.ps('shop'), 'shop/copy');
    expect(copy).toMatchObject({ state: 'ready', image, host, kind: 'machine' });
    expect(await ssh('shop/copy', 'hostname')).toBe('copy');

    // What was restored is a machine like any other: it keeps what is written to it over a boot of its own.
    const own = await write('shop/copy');
    const boot = await ssh('shop/copy', BOOT_ID);
    await golden.weft.ok(['reboot', 'shop/copy']);
    await waitFor(
      'the copy to have booted again',
      () => golden.weft.run(['ssh', 'shop/copy', '--', BOOT_ID]),
      ({ exitCode, stdout }) => exitCode === 0 && stdout.trim() !== '' && stdout.trim() !== boot,
    );
    expect(await digest('shop/copy')).toBe(own);
    await golden.weft.ok(['delete', 'shop/copy', '--wait'], { timeoutMs: 180_000 });
  });

  test('restored in place: the machine is what it was', async () => {
    const before = await write(DB);
    const { backup } = await backUp();
    await write(DB);
    const { incarnation } = rowOf(await golden.weft.ps('shop'), DB);
    await golden.weft.ok(['machine', 'restore', backup, '--in-place', '--wait'], { timeoutMs: 400_000 });
    expect(await digest(DB)).toBe(before);
    expect(rowOf(await golden.weft.ps('shop'), DB).incarnation).toBe(incarnation + 1);
    await golden.weft.ok(['machine', 'backup-rm', backup]);
    await waitFor(
      'the backup to be removed',
      () => backups(),
      (rows) => !rows.some((row) => row.backup === backup),
    );
  });

  test('one that was truncated is refused with the reason, and nothing is left of the try', async () => {
    const backup = await backUp();
    const [host, file] = [backup.host, join(backup.backup.slice(DB.length + 1), 'disk.qcow2')];
    const size = backup.made?.sizeBytes ?? 0;
    const path = join(await folderOf(host), file);
    const whole = await readFile(path);
    await truncate(path, size - 65_536);
    const { exitCode, stderr } = await golden.weft.run(
      ['machine', 'restore', backup.backup, '--as', 'broken', '--wait', '--json'],
      { timeoutMs: 180_000 },
    );
    expect(exitCode).toBe(1);
    const { error } = JSON.parse(stderr.slice(stderr.indexOf('{'))) as Refusal;
    expect(error.code).toBe('invalid-image');
    expect(error.message).toContain(`truncated: ${size - 65_536} of ${size} bytes`);
    expect((await golden.weft.ps('shop')).map(({ id }) => id)).toEqual([DB]);
    const disks = await golden.lab.exec(host, ['find', '/var/lib/weft/pools', '-path', '*broken*']);
    expect(disks.stdout).toBe('');
    // As it was, but for one bit: its size and header say nothing, its digest does.
    const middle = Math.floor(size / 2);
    whole[middle] = (whole[middle] ?? 0) ^ 1;
    await writeFile(path, whole);
    const changed = await golden.weft.run(['machine', 'restore', backup.backup, '--as', 'broken'], {
      timeoutMs: 180_000,
    });
    expect(changed.exitCode).toBe(1);
    expect(changed.stderr).toContain('its content has changed since it was made');
    await golden.weft.ok(['machine', 'backup-rm', backup.backup]);
  });

  test.each(['agent', 'libvirtd', 'controller'] as const)(
    'the %s is killed in the middle: the backup is made all the same, and no half is left',
    async (victim) => {
      const before = await write(DB);
      const boot = await ssh(DB, BOOT_ID);
      const home = await homeOf(DB);
      const known = new Set(await entries(home));
      const backup = (await golden.weft.ok(['machine', 'backup', DB, '--to', 'vault'])).trim();
      // As soon as anything of it is there: the copy has not ended, or its digest is being computed, or it has just ended.
      await waitFor(
        'the backup to be begun',
        () => entries(home),
        (found) => found.some((path) => !known.has(path)),
        60_000,
        20,
      );
      if (victim === 'controller') process.kill(await golden.lab.controllerPid(), 'SIGKILL');
      else await kill(home, victim === 'agent' ? 'weft-agent' : 'libvirtd-supervised');
      const end = await endOf(DB, backup);
      expect(await halves(home)).toEqual([]);
      expect(await ssh(DB, BOOT_ID)).toBe(boot);
      const good = victim === 'libvirtd' && end?.state === 'failed' ? await anotherAfterOff(end, boot) : end;
      expect(good).toMatchObject({ state: 'done', failure: null });
      await golden.weft.ok(['machine', 'restore', String(good?.backup), '--as', 'after', '--wait'], {
        timeoutMs: 400_000,
      });
      expect(await digest('shop/after')).toBe(before);
      await golden.weft.ok(['delete', 'shop/after', '--wait'], { timeoutMs: 180_000 });
    },
  );

  test('in a pool that hosts share, it is restored on another host when its own is lost', async () => {
    const before = await write(DB);
    const home = await homeOf(DB);
    const { backup } = await backUp(DB, 'common');
    await golden.lab.powerOff(home);
    await waitFor(
      'the loss to be seen',
      () => golden.weft.hosts(),
      (hosts) => hosts.some(({ name, state }) => name === home && state !== 'up'),
    );
    await golden.weft.ok(['machine', 'restore', backup, '--as', 'elsewhere', '--wait'], {
      timeoutMs: 400_000,
    });
    expect(await homeOf('shop/elsewhere')).not.toBe(home);
    expect(await digest('shop/elsewhere')).toBe(before);
    await golden.lab.powerOn(home);
    await golden.weft.ok(['delete', 'shop/elsewhere', '--wait'], { timeoutMs: 180_000 });
    await golden.weft.ok(['machine', 'backup-rm', backup]);
    // Until its host is back, what is told of the machine is what was known last.
    await waitFor(
      'the machine to run again, with its data',
      () => digest(DB).catch(String),
      (found) => found === before,
    );
  });

  test('by a schedule: made by itself; and backups outlive their machine and its application', async () => {
    const scheduled = MODEL('tiny:stable').replace(
      'pool: local}',
      'pool: local, backup: {every: 24h, keep: 2, to: vault}}',
    );
    await golden.weft.ok(['apply', '-f', await golden.model(scheduled)]);
    const made = await waitFor(
      'a scheduled backup',
      () => backups(),
      (rows) => rows.some(({ reason, state }) => reason === 'scheduled' && state === 'done'),
    );
    const { backup } = made.find(({ reason }) => reason === 'scheduled') ?? { backup: '' };
    const bytes = await digest(DB);
    await golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
    expect((await backups()).map((row) => row.backup)).toContain(backup);
    const from = MODEL('tiny:stable').replace('pool: local}', `pool: local, from: ${backup}}`);
    await golden.weft.ok(['apply', '-f', await golden.model(from), '--wait'], { timeoutMs: 400_000 });
    expect(rowOf(await golden.weft.ps('shop'), DB)).toSatisfy(isReady);
    expect(await digest(DB)).toBe(bytes);
  });

  test('restored, it moves to another host while it runs, with its disk: all bytes go along, the old host keeps none', async () => {
    const before = await write(DB);
    const { backup } = await backUp();
    await golden.weft.ok(['machine', 'restore', backup, '--in-place', '--wait'], { timeoutMs: 400_000 });
    const [home, boot] = [await homeOf(DB), await ssh(DB, BOOT_ID)];
    await golden.weft.ok(['move', DB, '--copy-storage', '--wait'], { timeoutMs: 400_000 });
    expect(await homeOf(DB)).not.toBe(home);
    expect(await ssh(DB, BOOT_ID)).toBe(boot);
    // Read from the disk, not from what the guest remembers of it.
    await ssh(DB, 'sync; echo 3 >/proc/sys/vm/drop_caches');
    expect(await digest(DB)).toBe(before);
    await waitFor(
      'its old disk to be gone',
      () => leftoversOn(golden.lab, home),
      ({ disks }) => !disks.some((path) => path.includes(`/machines/${DB}/`)),
    );
  });
});
