import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';

const ID = 'shop/files';
const HOSTS = ['h1', 'h2', 'h3'] as const;
const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  files: {image: "tiny:stable", size: ${TINY}, pool: local}
`;
/** Bytes that nobody can guess. */
const FILL = 'dd if=/dev/urandom of=/root/bytes bs=64k count=384 conv=fsync 2>/dev/null; md5sum </root/bytes';
/** Read from the disk, not from what the guest remembers of it. */
const SUM = 'sync; echo 3 >/proc/sys/vm/drop_caches; md5sum </root/bytes';
/** Goes on whatever becomes of the session that began it. `/run` is memory. */
const WRITER =
  'i=0; while :; do i=$((i+1)); echo $i | dd of=/root/log oflag=append conv=notrunc,fsync 2>/dev/null && echo $i >/run/acked.new && mv /run/acked.new /run/acked; done';

interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly subject: string;
}
type Row = PsRow & { readonly successor: { readonly host: string; readonly state: string } | null };

describe('a machine on a local pool moves while it runs, with its disk', () => {
  let golden: GoldenLab;
  let sum = '';
  let boot = '';
  beforeAll(async () => {
    // Slow enough to be caught in the middle.
    golden = await goldenLab('copy', { agent: { migration: { bandwidthMiBps: 5 } } });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    sum = await inside(FILL);
    boot = await inside('cat /proc/sys/kernel/random/boot_id');
    await inside(`(setsid sh -c '${WRITER}' </dev/null >/dev/null 2>&1 &)`);
    await waitFor('the writer to write', acknowledged, (count) => count > 0);
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const row = async () => rowOf(await golden.weft.ps('shop'), ID) as Row;
  const inside = async (command: string) => (await golden.weft.ok(['ssh', ID, '--', command])).trim();
  const acknowledged = async () => Number((await inside('cat /run/acked || echo 0')) || 0);
  const events = async (after: number) =>
    (await golden.weft.json<Event[]>(['events'])).filter(({ sequence }) => sequence > after);
  const lastEvent = async () => (await golden.weft.json<Event[]>(['events'])).at(-1)?.sequence ?? 0;
  const atRest = () =>
    waitFor('it to be at rest', row, (found) => isReady(found) && found.successor === null, 240_000);
  const other = (host: unknown) => HOSTS.find((name) => name !== host) ?? 'h1';

  /** Hosts that have a disk of it, whatever Weft says. */
  const withDisk = async () => {
    const left = await Promise.all(HOSTS.map((name) => leftoversOn(golden.lab, name)));
    return HOSTS.filter((_name, index) => left[index]?.disks.some((path) => path.includes(ID)));
  };

  /** The same boot of the same guest, every byte that it was told is written, one QEMU of it and one disk in the whole lab. */
  async function expectUnbroken(host: string, before: number): Promise<void> {
    expect(await inside('cat /proc/sys/kernel/random/boot_id')).toBe(boot);
    const after = await acknowledged();
    expect(after).toBeGreaterThanOrEqual(before);
    await waitFor('it to go on writing', acknowledged, (count) => count > after);
    expect(await inside(SUM)).toBe(sum);
    // Every number up to the last one that was acknowledged, in order.
    const broken = await inside(
      `a=$(cat /run/acked); head -n $a /root/log | awk '$1 != NR {print NR; exit}'; [ $(wc -l </root/log) -ge $a ] || echo short`,
    );
    expect(broken).toBe('');
    await waitFor(
      'one QEMU of it, in the whole lab',
      () => runningQemus(golden),
      (qemus) => qemus.length === 1,
    );
    await waitFor('one disk of it', withDisk, (hosts) => hosts.join() === host, 60_000);
  }

  test('on request only, by name: the same boot goes on with all its bytes, and its old host keeps nothing', async () => {
    const { host } = await row();
    const to = other(host);
    const refused = await golden.weft.run(['move', ID, '--to', to]);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('--copy-storage');
    const begun = await lastEvent();
    const written = await acknowledged();
    const moved = await golden.weft.run(['move', ID, '--to', to, '--copy-storage', '--wait'], {
      timeoutMs: 300_000,
    });
    expect(moved).toMatchObject({ exitCode: 0 });
    expect(moved.stderr).toMatch(/moved from h\d to h\d while it ran: it stood still for \d+ ms/);
    expect(await atRest()).toMatchObject({ host: to });
    await expectUnbroken(to, written);
    const kinds = (await events(begun)).filter(({ subject }) => subject === ID).map(({ kind }) => kind);
    expect(kinds).toContain('vm-migrated');
    expect(kinds).toContain('vm-old-disk-goes');
  });

  test('off a host that drains, which then has nothing of it', async () => {
    const { host } = await row();
    const written = await acknowledged();
    await golden.weft.ok(['host', 'drain', String(host), '--copy-storage', '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    const moved = await atRest();
    expect(moved.host).not.toBe(host);
    await expectUnbroken(String(moved.host), written);
    await golden.weft.ok(['host', 'undrain', String(host)]);
  });

  describe('with its way cut in the middle', () => {
    async function underWay(): Promise<{ from: string; to: string; written: number; begun: number }> {
      const { host: from } = await atRest();
      const to = other(from);
      const written = await acknowledged();
      const begun = await lastEvent();
      await golden.weft.ok(['move', ID, '--to', to, '--copy-storage']);
      await waitFor(
        'it to be on its way',
        async () => events(begun),
        (told) => told.some(({ kind }) => kind === 'vm-migrating'),
        180_000,
        100,
      );
      return { from: String(from), to, written, begun };
    }
    /** Ends it: it had no time to come to its end by itself, so it is where it was. */
    async function stays({ from, written }: { from: string; written: number }): Promise<void> {
      await golden.weft.run(['move', ID, '--abort']);
      expect(await atRest()).toMatchObject({ host: from });
      await expectUnbroken(from, written);
    }
    const kill = async (host: string) =>
      process.kill(await supervisedPid(await golden.lab.host(host), 'weft-agent'), 'SIGKILL');

    test('by a user: it stays, and half a copy goes', async () => {
      const way = await underWay();
      await stays(way);
      const told = (await events(way.begun)).map(({ kind }) => kind);
      expect(told).toContain('vm-migration-stopped');
      expect(told).not.toContain('vm-migrated');
    });

    test('by the death of the agent that takes: it goes on where it was, and the reason is told', async () => {
      const way = await underWay();
      await kill(way.to);
      await waitFor(
        'it to be told as failed',
        () => events(way.begun),
        (told) => told.some(({ kind }) => kind === 'vm-move-failed'),
      );
      await stays(way);
    });

    test('by the death of the controller: it goes on where it is in the end, there or here', async () => {
      const { written } = await underWay();
      process.kill(await golden.lab.controllerPid(), 'SIGKILL');
      await waitFor(
        'the controller to be back, and the move to be ended',
        // On its way back it does not answer yet; what has ended by itself cannot be.
        () => golden.weft.run(['move', ID, '--abort']),
        ({ exitCode, stderr }) => exitCode === 0 || stderr.includes('is not being moved'),
        60_000,
      );
      const { host } = await waitFor(
        'it to be at rest',
        () => row().catch(() => null),
        (found) => found !== null && isReady(found) && found.successor === null,
        240_000,
      ).then((found) => ({ host: String(found?.host) }));
      await expectUnbroken(host, written);
    });

    test('by the death of the agent that gives: it goes on where it was', async () => {
      const way = await underWay();
      const host = await golden.lab.host(way.from);
      const before = await supervisedPid(host, 'weft-agent');
      await kill(way.from);
      await waitFor(
        'another agent to run',
        () => supervisedPid(host, 'weft-agent').catch(() => before),
        (pid) => pid !== before,
      );
      await stays(way);
    });
  });

  test('it comes back from its copy when it boots anew', async () => {
    const { host } = await atRest();
    await golden.weft.ok(['reboot', ID]);
    await waitFor(
      'another boot of it',
      () => inside('cat /proc/sys/kernel/random/boot_id').catch(() => boot),
      (id) => id !== boot,
      240_000,
    );
    expect(await atRest()).toMatchObject({ host });
    expect(await inside(SUM)).toBe(sum);
  });
});
