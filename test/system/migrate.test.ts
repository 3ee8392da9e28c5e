import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';
import type { PsRow } from '../support/weft.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  files: {image: "tiny:stable", size: ${TINY}, pool: san}
`;
const ID = 'shop/files';
const HOSTS = ['h1', 'h2', 'h3'] as const;

/** Goes on whatever becomes of the session that began it. `/run` is memory: a guest that was booted anew has nothing there. */
const WRITER =
  'i=0; while :; do i=$((i+1)); echo $i | dd of=/root/log oflag=append conv=notrunc,fsync 2>/dev/null && echo $i >/run/acked.new && mv /run/acked.new /run/acked; done';
/** Changes more memory than can be sent meanwhile, so that a migration is still under way when somebody looks. */
const DIRTY =
  'mkdir -p /run/big && mount -t tmpfs -o size=72m big /run/big && while [ ! -e /run/enough ]; do dd if=/dev/urandom of=/run/big/a bs=64k count=900 conv=notrunc 2>/dev/null; done';

interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}
type Row = PsRow & {
  readonly successor: { readonly host: string; readonly state: string } | null;
  readonly lastMove: { readonly downtimeMs: number | null; readonly totalMs: number | null } | null;
};

describe('a machine on a shared pool moves while it runs', () => {
  let golden: GoldenLab;
  let boot = '';
  beforeAll(async () => {
    golden = await goldenLab('migrate', { shared: ['san'] });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    await inside(`(setsid sh -c '${WRITER}' </dev/null >/dev/null 2>&1 &)`);
    boot = await inside('cat /proc/sys/kernel/random/boot_id');
    await waitFor(
      'the writer to write',
      () => acknowledged(),
      (count) => count > 0,
    );
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const row = async () => rowOf(await golden.weft.ps('shop'), ID) as Row;
  const inside = async (command: string) => (await golden.weft.ok(['ssh', ID, '--', command])).trim();
  const acknowledged = async () => Number((await inside('cat /run/acked || echo 0')) || 0);
  const events = async (after: number) =>
    (await golden.weft.json<Event[]>(['events'])).filter(({ sequence }) => sequence > after);
  const lastEvent = async () => (await golden.weft.json<Event[]>(['events'])).at(-1)?.sequence ?? 0;
  const ready = (what: string, wanted: (found: Row) => boolean) =>
    waitFor(what, row, (found) => isReady(found) && found.successor === null && wanted(found));

  /** The same boot of the same guest: nothing it was told is written is missing, and it goes on writing. One QEMU has the disk. */
  async function expectUnbroken(before: number): Promise<void> {
    expect(await inside('cat /proc/sys/kernel/random/boot_id')).toBe(boot);
    const after = await acknowledged();
    expect(after).toBeGreaterThanOrEqual(before);
    await waitFor(
      'it to go on writing',
      () => acknowledged(),
      (count) => count > after,
    );
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
  }

  test('by name, there and back: the same boot goes on, at the same address, and says for how long it stood still', async () => {
    for (const _way of ['there', 'back']) {
      const before = await row();
      const begun = await lastEvent();
      const written = await acknowledged();
      const to = HOSTS.find((name) => name !== before.host) ?? 'h1';
      const moved = await golden.weft.run(['move', ID, '--live', '--to', to, '--wait'], {
        timeoutMs: 200_000,
      });
      expect(moved).toMatchObject({ exitCode: 0 });
      expect(moved.stderr).toMatch(/moved from h\d to h\d while it ran: it stood still for \d+ ms/);
      const after = await ready('it to be ready there', ({ host }) => host === to);
      expect(after).toMatchObject({ address: before.address, incarnation: before.incarnation + 1 });
      expect(after.lastMove?.totalMs).toBeGreaterThan(after.lastMove?.downtimeMs ?? Number.NaN);
      await expectUnbroken(written);
      const kinds = (await events(begun)).filter(({ subject }) => subject === ID).map(({ kind }) => kind);
      expect(kinds).toContain('vm-migrated');
      expect(kinds).not.toContain('vm-moves-cold');
    }
  });

  test('off a host that drains, which is then empty', async () => {
    const { host } = await row();
    const written = await acknowledged();
    await golden.weft.ok(['host', 'drain', String(host), '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    await ready('it to be ready elsewhere', (found) => found.host !== host);
    await expectUnbroken(written);
    await golden.weft.ok(['host', 'undrain', String(host)]);
  });

  describe('with its way cut in the middle', () => {
    beforeAll(() => inside(`(setsid sh -c '${DIRTY}' </dev/null >/dev/null 2>&1 &)`));
    afterAll(() => inside('touch /run/enough').catch(() => undefined));

    /** Begins a move that does not end by itself soon, and waits until it is under way. */
    async function underWay(): Promise<{ from: string; to: string; written: number; begun: number }> {
      const { host: from } = await ready('it to be at rest', () => true);
      const to = HOSTS.find((name) => name !== from) ?? 'h1';
      const written = await acknowledged();
      const begun = await lastEvent();
      await golden.weft.ok(['move', ID, '--live', '--to', to]);
      await waitFor(
        'it to be on its way',
        async () => events(begun),
        (told) => told.some(({ kind }) => kind === 'vm-migrating'),
        180_000,
        100,
      );
      return { from: String(from), to, written, begun };
    }
    const end = async () => {
      await golden.weft.run(['move', ID, '--abort']);
      return ready('it to be at rest', () => true);
    };

    test('by a user: it stays, and nothing of it is left there', async () => {
      const { from, to, written } = await underWay();
      await golden.weft.ok(['move', ID, '--abort']);
      const after = await ready('it to stay', () => true);
      // It may have been there before it heard.
      expect([from, to]).toContain(after.host);
      await expectUnbroken(written);
    });

    test('by the death of the agent that takes, then of the one that gives: it goes on, once', async () => {
      for (const victim of ['to', 'from'] as const) {
        const way = await underWay();
        process.kill(await supervisedPid(await golden.lab.host(way[victim]), 'weft-agent'), 'SIGKILL');
        // Whatever has come about by then: told as failed, tried again, or there.
        await waitFor(
          'the controller to have heard of it',
          () => events(way.begun),
          (told) =>
            told.some(
              ({ kind }) =>
                kind === 'vm-migrated' || kind === 'vm-move-failed' || kind === 'vm-migration-stopped',
            ),
        );
        await end();
        await expectUnbroken(way.written);
      }
    });
  });
});
