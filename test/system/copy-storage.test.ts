import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady } from '../support/hosts.ts';
import { leftoversOn } from '../support/leftovers.ts';
import { HOSTS, MovingMachine, otherThan, type Way } from '../support/moving-machine.ts';
import { waitFor } from '../support/wait-for.ts';

const ID = 'shop/files';
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
const REST_LIMIT_MS = 240_000;

describe('a machine on a local pool moves while it runs, with its disk', () => {
  let golden: GoldenLab;
  let sum = '';
  let machine: MovingMachine;
  beforeAll(async () => {
    // Slow enough to be caught in the middle.
    golden = await goldenLab('copy', { agent: { migration: { bandwidthMiBps: 5 } } });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    machine = new MovingMachine(golden, ID, REST_LIMIT_MS);
    sum = await inside(FILL);
    await machine.start();
  }, 1_300_000);
  afterAll(() => golden?.down(), 60_000);

  const inside = (command: string) => machine.writer.inside(command);
  const atRest = () => machine.atRest();

  /** Hosts that have a disk of it, whatever Weft says. */
  const withDisk = async () => {
    const left = await Promise.all(HOSTS.map((name) => leftoversOn(golden.lab, name)));
    return HOSTS.filter((_name, index) => left[index]?.disks.some((path) => path.includes(ID)));
  };

  /** The same boot of the same guest, every byte that it was told is written, one QEMU of it and one disk in the whole lab. */
  async function expectUnbroken(host: string, before: number): Promise<void> {
    await machine.expectUnbroken(before);
    expect(await inside(SUM)).toBe(sum);
    await waitFor('one disk of it', withDisk, (hosts) => hosts.join() === host, 60_000);
  }

  test('on request only, by name: the same boot goes on with all its bytes, and its old host keeps nothing', async () => {
    const { host } = await machine.row();
    const to = otherThan(host);
    const refused = await golden.weft.run(['move', ID, '--to', to]);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain('--copy-storage');
    const begun = await machine.lastEvent();
    const written = await machine.writer.acknowledged();
    const moved = await golden.weft.run(['move', ID, '--to', to, '--copy-storage', '--wait'], {
      timeoutMs: 300_000,
    });
    expect(moved).toMatchObject({ exitCode: 0 });
    expect(moved.stderr).toMatch(/moved from h\d to h\d while it ran: it stood still for \d+ ms/);
    expect(await atRest()).toMatchObject({ host: to });
    await expectUnbroken(to, written);
    const kinds = await machine.told(begun);
    expect(kinds).toContain('vm-migrated');
    expect(kinds).toContain('vm-old-disk-goes');
  });

  test('off a host that drains, which then has nothing of it', async () => {
    const { host } = await machine.row();
    const written = await machine.writer.acknowledged();
    await golden.weft.ok(['host', 'drain', String(host), '--copy-storage', '--wait', '--timeout', '5m'], {
      timeoutMs: 400_000,
    });
    const moved = await atRest();
    expect(moved.host).not.toBe(host);
    await expectUnbroken(String(moved.host), written);
    await golden.weft.ok(['host', 'undrain', String(host)]);
  });

  describe('with its way cut in the middle', () => {
    const underWay = () => machine.underWay('--copy-storage');
    /** Ends it: it had no time to come to its end by itself, so it is where it was. */
    async function stays({ from, written }: Way): Promise<void> {
      await golden.weft.run(['move', ID, '--abort']);
      expect(await atRest()).toMatchObject({ host: from });
      await expectUnbroken(from, written);
    }
    test('by a user: it stays, and half a copy goes', async () => {
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
        () => machine.row().catch(() => null),
        (found) => found !== null && isReady(found) && found.successor === null,
        240_000,
      ).then((found) => ({ host: String(found?.host) }));
      await expectUnbroken(host, written);
    });

    test('by the death of the agent that gives: it goes on where it was', async () => {
      const way = await underWay();
      await machine.killGiver(way);
      await stays(way);
    });
  });

  test('it comes back from its copy when it boots anew', async () => {
    const { host } = await atRest();
    await golden.weft.ok(['reboot', ID]);
    await waitFor(
      'another boot of it',
      () => machine.bootId().catch(() => machine.boot),
      (id) => id !== machine.boot,
      240_000,
    );
    expect(await atRest()).toMatchObject({ host });
    expect(await inside(SUM)).toBe(sum);
  });
});
