import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady } from '../support/hosts.ts';
import { hurried } from '../support/hurried.ts';
import { MovingMachine, otherThan, type Way } from '../support/moving-machine.ts';
import { waitFor } from '../support/wait-for.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  files: {image: "tiny:stable", size: ${TINY}, pool: san}
`;
const ID = 'shop/files';
describe('a machine on a shared pool moves while it runs', () => {
  let golden: GoldenLab;
  let machine: MovingMachine;
  beforeAll(async () => {
    // Slow enough to be caught in the middle.
    golden = await goldenLab('migrate', { shared: ['san'], agent: { migration: { bandwidthMiBps: 4 } } });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    machine = new MovingMachine(golden, ID);
    await machine.start();
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  test('by name, there and back: the same boot goes on, at the same address, and says for how long it stood still', async () => {
    for (const _way of ['there', 'back']) {
      const before = await machine.row();
      const begun = await machine.lastEvent();
      const written = await machine.writer.acknowledged();
      const to = otherThan(before.host);
      const move = golden.weft.run(['move', ID, '--live', '--to', to, '--wait'], { timeoutMs: 200_000 });
      const moved = await hurried(golden, String(before.host), move);
      expect(moved).toMatchObject({ exitCode: 0 });
      expect(moved.stderr).toMatch(/moved from h\d to h\d while it ran: it stood still for \d+ ms/);
      const after = await machine.atRest('it to be ready there', ({ host }) => host === to);
      expect(after).toMatchObject({ address: before.address, incarnation: before.incarnation + 1 });
      expect(after.lastMove?.totalMs).toBeGreaterThan(after.lastMove?.downtimeMs ?? Number.NaN);
      expect(after.lastMove?.way).toBe('direct');
      await machine.expectUnbroken(written);
      const kinds = await machine.told(begun);
      expect(kinds).toContain('vm-migrated');
      expect(kinds).not.toContain('vm-moves-cold');
    }
  });

  test('through the controller, when the host that it goes to is behind a wall', async () => {
    const { host: from } = await machine.row();
    const to = otherThan(from);
    const written = await machine.writer.acknowledged();
    const wall = (rules: string) => golden.lab.exec(to, ['nft', '-f', '-'], { input: `${rules}\n` });
    await wall(
      `table inet weft_test_wall { chain in { type filter hook input priority 0; tcp dport 7702-7709 drop; }; }`,
    );
    try {
      const move = golden.weft.ok(['move', ID, '--live', '--to', to, '--wait'], { timeoutMs: 200_000 });
      await hurried(golden, String(from), move);
      const after = await machine.atRest('it to be ready there', ({ host }) => host === to);
      expect(after.lastMove?.way).toBe('relayed');
      await machine.expectUnbroken(written);
    } finally {
      await wall('delete table inet weft_test_wall');
    }
  });

  test('off a host that drains, which is then empty', async () => {
    const { host } = await machine.row();
    const written = await machine.writer.acknowledged();
    const drained = golden.weft.ok(['host', 'drain', String(host), '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    await hurried(golden, String(host), drained);
    await machine.atRest('it to be ready elsewhere', (found) => found.host !== host);
    await machine.expectUnbroken(written);
    await golden.weft.ok(['host', 'undrain', String(host)]);
  });

  describe('with its way cut in the middle', () => {
    beforeAll(() => machine.writer.fill(), 120_000);
    afterAll(() => machine.writer.empty().catch(() => undefined));

    const underWay = () => machine.underWay('--live');
    /** Ends it: it had no time to come to its end by itself, so it is where it was. */
    async function stays({ from, written }: Way): Promise<void> {
      await golden.weft.run(['move', ID, '--abort']);
      expect(await machine.atRest()).toMatchObject({ host: from });
      await machine.expectUnbroken(written);
    }
    test('by a user: it stays', async () => {
      const way = await underWay();
      await stays(way);
      const told = (await machine.events(way.begun)).map(({ kind }) => kind);
      expect(told).toContain('vm-migration-stopped');
      expect(told).not.toContain('vm-migrated');
    });

    test('by the death of the agent that takes: it goes on where it was, and the reason is told', async () => {
      const way = await underWay();
      await machine.killTaker(way);
      await stays(way);
    });

    test('not by the death of the controller: it arrives all the same', async () => {
      const way = await underWay();
      process.kill(await golden.lab.controllerPid(), 'SIGKILL');
      const there = await waitFor(
        'it to be ready there',
        // A controller that is on its way back does not answer yet.
        () => machine.row().catch(() => null),
        (found) => found?.host === way.to && isReady(found) && found.successor === null,
      );
      expect(there?.lastMove?.way).toBe('direct');
      await machine.expectUnbroken(way.written);
    });

    test('by the death of the agent that gives: it goes on where it was', async () => {
      const way = await underWay();
      await machine.killGiver(way);
      await stays(way);
    });
  });
});
