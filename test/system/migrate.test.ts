import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { GuestWriter } from '../support/guest-writer.ts';
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

interface Event {
  readonly sequence: number;
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}
type Row = PsRow & {
  readonly successor: { readonly host: string; readonly state: string } | null;
  readonly lastMove: {
    readonly downtimeMs: number | null;
    readonly totalMs: number | null;
    readonly way?: 'direct' | 'relayed';
  } | null;
};

describe('a machine on a shared pool moves while it runs', () => {
  let golden: GoldenLab;
  let writer: GuestWriter;
  let boot = '';
  beforeAll(async () => {
    // Slow enough to be caught in the middle.
    golden = await goldenLab('migrate', { shared: ['san'], agent: { migration: { bandwidthMiBps: 4 } } });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    writer = new GuestWriter(golden.weft, ID);
    await writer.start();
    boot = await inside('cat /proc/sys/kernel/random/boot_id');
    await waitFor(
      'the writer to write',
      () => acknowledged(),
      (count) => count > 0,
    );
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const row = async () => rowOf(await golden.weft.ps('shop'), ID) as Row;
  const inside = (command: string) => writer.inside(command);
  const acknowledged = () => writer.acknowledged();
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
    await writer.expectWritten(await acknowledged());
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
      expect(after.lastMove?.way).toBe('direct');
      await expectUnbroken(written);
      const kinds = (await events(begun)).filter(({ subject }) => subject === ID).map(({ kind }) => kind);
      expect(kinds).toContain('vm-migrated');
      expect(kinds).not.toContain('vm-moves-cold');
    }
  });

  test('through the controller, when the host that it goes to is behind a wall', async () => {
    const { host: from } = await row();
    const to = HOSTS.find((name) => name !== from) ?? 'h1';
    const written = await acknowledged();
    const wall = (rules: string) => golden.lab.exec(to, ['nft', '-f', '-'], { input: `${rules}\n` });
    await wall(
      `table inet weft_test_wall { chain in { type filter hook input priority 0; tcp dport 7702-7709 drop; }; }`,
    );
    try {
      await golden.weft.ok(['move', ID, '--live', '--to', to, '--wait'], { timeoutMs: 200_000 });
      const after = await ready('it to be ready there', ({ host }) => host === to);
      expect(after.lastMove?.way).toBe('relayed');
      await expectUnbroken(written);
    } finally {
      await wall('delete table inet weft_test_wall');
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
    beforeAll(() => writer.fill(), 120_000);
    afterAll(() => writer.empty().catch(() => undefined));

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
    /** Ends it: it had no time to come to its end by itself, so it is where it was. */
    async function stays({ from, written }: { from: string; written: number }): Promise<void> {
      await golden.weft.run(['move', ID, '--abort']);
      expect(await ready('it to be at rest', () => true)).toMatchObject({ host: from });
      await expectUnbroken(written);
    }
    const kill = async (host: string) =>
      process.kill(await supervisedPid(await golden.lab.host(host), 'weft-agent'), 'SIGKILL');

    test('by a user: it stays', async () => {
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

    test('not by the death of the controller: it arrives all the same', async () => {
      const way = await underWay();
      process.kill(await golden.lab.controllerPid(), 'SIGKILL');
      const there = await waitFor(
        'it to be ready there',
        // A controller that is on its way back does not answer yet.
        () => row().catch(() => null),
        (found) => found?.host === way.to && isReady(found) && found.successor === null,
      );
      expect(there?.lastMove?.way).toBe('direct');
      await expectUnbroken(way.written);
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
});
