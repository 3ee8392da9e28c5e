import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { FrozenGuest } from '../support/frozen-guest.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

const LEDGER = 'books/ledger';
const BOOKS = `
apiVersion: weft/v1
kind: Application
name: books
machines:
  ledger: {image: "tiny-full:stable", size: ${TINY}, pool: local}
`;
const BACKUPS = '/var/lib/weft/backups';
const BOOT_ID = 'cat /proc/sys/kernel/random/boot_id';
const DIGEST = 'sha256sum </root/data';
const WRITE = 'date >/root/written && sync';

interface Backup {
  readonly backup: string;
  readonly state: string;
  readonly failure: { readonly message: string } | null;
  readonly made: { readonly consistency: string } | null;
}

describe('a backup of a guest with an agent', () => {
  let golden: GoldenLab;
  let guest: FrozenGuest;
  beforeAll(async () => {
    golden = await goldenLab('freeze', {
      hosts: 1,
      recipes: ['tiny-full'],
      agent: { backups: [{ name: 'vault', path: BACKUPS }] },
    });
    await golden.weft.ok(['apply', '-f', await golden.model(BOOKS), '--wait'], { timeoutMs: 400_000 });
    guest = await FrozenGuest.of(golden.weft, golden.lab, LEDGER, 'h1');
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const backups = (): Promise<readonly Backup[]> => golden.weft.backups(LEDGER);
  const backUp = () =>
    golden.weft.json<Backup>(['machine', 'backup', LEDGER, '--to', 'vault', '--wait'], {
      timeoutMs: 300_000,
    });
  /** What became of one that was asked for. */
  const endOf = async (backup: string) =>
    (
      await waitFor('the backup to end', backups, (found) =>
        found.some((row) => row.backup === backup && row.state !== 'wanted'),
      )
    ).find((row) => row.backup === backup);
  const halves = async () => (await golden.lab.exec('h1', ['find', BACKUPS, '-name', '*.tmp'])).stdout.trim();

  test('is frozen for the moment in which it begins: what the guest had not yet written out is in it', async () => {
    const before = await guest.ssh(
      'dd if=/dev/urandom of=/root/data bs=1M count=4 2>/dev/null; sha256sum </root/data',
    );
    const { backup, made } = await backUp();
    expect(made?.consistency).toBe('frozen');
    expect(await guest.freezes()).toEqual(['freeze', 'thaw']);
    expect(await guest.status()).toBe('thawed');
    await golden.weft.ok(['machine', 'restore', backup, '--as', 'copy', '--wait'], { timeoutMs: 400_000 });
    expect((await golden.weft.ok(['ssh', 'books/copy', '--', DIGEST], { timeoutMs: 180_000 })).trim()).toBe(
      before,
    );
    await golden.weft.ok(['delete', 'books/copy', '--wait'], { timeoutMs: 180_000 });
  });

  test('that cannot be begun is told as failed; nothing is left of it, the guest runs on thawed, and the next one works', async () => {
    const boot = await guest.ssh(BOOT_ID);
    // Another copy of its disk is being made, by somebody else, and for as long as he likes.
    const busy = '/var/lib/weft/busy.qcow2';
    await guest.virsh('blockcopy', 'DOMAIN', 'vda', busy, '--transient-job');
    const refused = await golden.weft.run(
      ['machine', 'backup', LEDGER, '--to', 'vault', '--wait', '--json'],
      { timeoutMs: 180_000 },
    );
    expect(refused.exitCode).toBe(1);
    const failed = (await backups()).find(({ state }) => state === 'failed');
    expect(failed?.failure?.message).toContain('back ');
    const calls = await guest.freezes();
    expect([calls[0], calls.at(-1)]).toEqual(['freeze', 'thaw']);
    expect(await guest.status()).toBe('thawed');
    expect(await halves()).toBe('');
    await guest.virsh('blockjob', 'DOMAIN', 'vda', '--abort');
    await golden.lab.exec('h1', ['rm', '-f', busy]);
    expect((await backUp()).made?.consistency).toBe('frozen');
    await guest.ssh(WRITE);
    expect(await guest.ssh(BOOT_ID)).toBe(boot);
    await guest.freezes();
  });

  test('its host’s agent is killed between freeze and thaw: the next one thaws it', async () => {
    await guest.hold();
    const backup = (await golden.weft.ok(['machine', 'backup', LEDGER, '--to', 'vault'])).trim();
    await guest.untilHeld();
    // It stands still, so that the guest stays frozen until somebody has seen it so.
    const agent = await supervisedPid(await golden.lab.host('h1'), 'weft-agent');
    process.kill(agent, 'SIGSTOP');
    await guest.letGo();
    await guest.until('frozen');
    process.kill(agent, 'SIGKILL');
    expect(await endOf(backup)).toMatchObject({ state: 'done', made: { consistency: 'frozen' } });
    // Thawed by the agent that found it so, then frozen once more for the copy that is begun anew.
    const calls = await guest.freezes();
    expect([...calls.slice(0, 2), ...calls.slice(-2)]).toEqual(['freeze', 'thaw', 'freeze', 'thaw']);
    expect(calls.length).toBeGreaterThanOrEqual(4);
    expect(await guest.status()).toBe('thawed');
    expect(await halves()).toBe('');
  });

  test('libvirtd is killed while the guest freezes: it is thawed, and the backup is made', async () => {
    await guest.hold();
    const backup = (await golden.weft.ok(['machine', 'backup', LEDGER, '--to', 'vault'])).trim();
    await guest.untilHeld();
    process.kill(await supervisedPid(await golden.lab.host('h1'), 'libvirtd-supervised'), 'SIGKILL');
    await guest.letGo();
    expect(await endOf(backup)).toMatchObject({ state: 'done' });
    await guest.until('thawed');
    expect((await guest.freezes()).slice(0, 2)).toEqual(['freeze', 'thaw']);
    await guest.ssh(WRITE);
    await golden.clear();
    await waitUntilNothingIsLeft(golden);
  });
});
