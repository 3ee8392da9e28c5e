import { beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { MovingMachine, otherThan, type Way } from '../support/moving-machine.ts';
import { waitFor } from '../support/wait-for.ts';
import type { CephLab } from './ceph-lab.ts';

/** Moves of a machine that runs, between two hosts of one Ceph cluster. What nothing locks is shown to be written by one of them at a time. */
export function describeLiveMoves(lab: () => CephLab, id: string): void {
  describe('moves while it runs', () => {
    let moving: MovingMachine;
    beforeAll(async () => {
      moving = new MovingMachine(lab().golden, id, 240_000);
      await moving.atRest();
      await moving.start();
      // Takes long enough to be caught in the middle.
      await moving.writer.fill();
    }, 400_000);

    const weft = () => lab().golden.weft;
    const domainsOn = async (host: string) =>
      (await lab().golden.lab.exec(host, ['virsh', '--readonly', 'list', '--state-running', '--name']))
        .stdout;
    const runsOn = async (host: string) => (await domainsOn(host)).includes('-shop-db');

    /** Looks at both hosts for as long as something takes. The one here never runs when the one there was seen to. */
    async function watched<T>({ from, to }: Pick<Way, 'from' | 'to'>, work: Promise<T>) {
      let isOver = false;
      let both = 0;
      const watch = async () => {
        while (!isOver) if ((await runsOn(to)) && (await runsOn(from))) both++;
      };
      const watching = watch();
      try {
        return await work;
      } finally {
        isOver = true;
        await watching;
        expect(both).toBe(0);
      }
    }

    /** Ends it: it had no time to come to its end by itself, so it is where it was. */
    async function stays({ from, written }: Way): Promise<void> {
      await weft().run(['move', id, '--abort']);
      expect(await moving.atRest()).toMatchObject({ host: from });
      await moving.expectUnbroken(written);
    }

    test('there and back, with all that it was told is written, and one runs at any time', async () => {
      for (const _way of ['there', 'back']) {
        const before = await moving.row();
        const way = { from: String(before.host), to: otherThan(before.host) };
        const written = await moving.writer.acknowledged();
        const begun = await moving.lastEvent();
        const moved = await watched(
          way,
          weft().run(['move', id, '--live', '--to', way.to, '--wait'], { timeoutMs: 300_000 }),
        );
        expect(moved).toMatchObject({ exitCode: 0 });
        const after = await moving.atRest('it to be ready there', ({ host }) => host === way.to);
        expect(after).toMatchObject({ address: before.address });
        expect(after.lastMove?.downtimeMs).toBeGreaterThan(0);
        expect(after.lastMove?.totalMs).toBeGreaterThanOrEqual(after.lastMove?.downtimeMs ?? Number.NaN);
        expect(await moving.told(begun)).toContain('vm-migrated');
        await moving.expectUnbroken(written);
      }
    });

    test('is still the one that it was after the agent that takes it is killed in the middle', async () => {
      const way = await moving.underWay('--live');
      await moving.killTaker(way);
      await stays(way);
    });

    test('is still the one that it was after libvirtd of the host that takes it is killed in the middle', async () => {
      const way = await moving.underWay('--live');
      const host = await lab().golden.lab.host(way.to);
      process.kill(await supervisedPid(host, 'libvirtd-supervised'), 'SIGKILL');
      const told = await waitFor(
        'it to be told how that ended',
        () => moving.told(way.begun),
        (kinds) => kinds.includes('vm-move-failed') || kinds.includes('vm-migrated'),
      );
      if (told.includes('vm-move-failed')) return stays(way);
      // It was over there before the kill was felt: QEMU needs no libvirtd to go on.
      expect(await moving.atRest()).toMatchObject({ host: way.to });
      await moving.expectUnbroken(way.written);
    });

    test('is still the one that it was after the host that takes it has lost power in the middle', async () => {
      const way = await moving.underWay('--live');
      await lab().golden.lab.powerOff(way.to);
      await stays(way);
    });

    test('off a host that drains, which is then empty', async () => {
      const { host } = await moving.row();
      const written = await moving.writer.acknowledged();
      await weft().ok(['host', 'drain', String(host), '--wait', '--timeout', '5m'], { timeoutMs: 400_000 });
      const after = await moving.atRest();
      expect(after.host).not.toBe(host);
      await moving.expectUnbroken(written);
      await weft().ok(['host', 'undrain', String(host)]);
    });

    test('goes on from its disk when its host is cut off in the middle, and shut out: what has come there is not let run on', async () => {
      const way = await moving.underWay('--live');
      await lab().golden.lab.cut(way.from, 'controller');
      const after = await moving.atRest('it to be ready elsewhere', ({ host }) => host === way.to);
      expect(await moving.told(way.begun)).toContain('machine-restarted');
      expect(await moving.told(way.begun)).not.toContain('vm-migrated');
      expect(await moving.bootId()).not.toBe(moving.boot);
      await moving.writer.expectWritten(way.written);
      // Let in again, that host has nothing of it, and the machine nothing to fear of it.
      await lab().golden.lab.mend(way.from);
      await waitFor(
        'its host to be let in to Ceph again',
        async () => (await moving.events(way.begun)).map(({ kind, subject }) => `${kind} ${subject}`),
        (told) => told.includes(`storage-fence-lifted ${way.from}`),
      );
      expect(await runsOn(way.from)).toBe(false);
      expect(await moving.atRest()).toMatchObject({ host: way.to, incarnation: after.incarnation });
      await moving.writer.expectWritten(way.written);
    });
  });
}
