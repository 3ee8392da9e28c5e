import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PoolConfiguration, PoolView } from '../../../agent/disks/contract.ts';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { PoolWatch } from '../../../agent/disks/pool-watch.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { waitFor } from '../../support/wait-for.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-watch-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: 'silent' });

test('one look tells everybody which pools are there and how much room there is, also for the cache', async () => {
  const pools: PoolConfiguration[] = [
    { name: 'local', kind: 'local', path: join(folder, 'local') },
    { name: 'san', kind: 'shared', path: join(folder, 'not-mounted') },
  ];
  const disks = new LocalDisks(pools, 'h1');
  await disks.preparePools(FLEET);
  const clock = new VirtualClock(0);
  const watch = new PoolWatch({
    ...{ disks, pools, clock, log, everyMs: 5_000 },
    blobFolder: '/proc/no-such-cache',
  });
  const heard: string[] = [];
  watch.onSeen(
    ({ pools: seen }) => void heard.push(seen.map(({ name, id }) => `${name} ${id !== null}`).join()),
  );
  const stopHearing = watch.onSeen(() => void heard.push('another'));
  const { spaces } = await watch.look();
  expect(heard).toEqual(['local true,san false', 'another']);
  expect(spaces.map(({ name, hasCache }) => [name, hasCache])).toEqual([
    ['local', false],
    [null, true],
  ]);
  expect(watch.latest.spaces).toBe(spaces);
  stopHearing();
  const stop = watch.start();
  await disks.initPool('san', FLEET);
  await waitFor(
    'the pool to be seen',
    async () => {
      await clock.advance(5_000);
      return heard.at(-1);
    },
    (last) => last === 'local true,san true',
  );
  stop();
});

test('a pool in Ceph that can be used has room as well, and says whether Ceph takes writes', async () => {
  const view = (name: string, id: string | null): PoolView => ({
    ...{ name, kind: 'rbd', id, freeMiB: 10, totalMiB: 100, isFull: true },
    problem: id === null ? 'no answer' : null,
  });
  const watch = new PoolWatch({
    ...{ pools: [], clock: new VirtualClock(0), log, everyMs: 5_000, blobFolder: folder },
    disks: { pools: async () => [view('ceph', FLEET), view('away', null)] },
  });
  expect((await watch.look()).spaces).toMatchObject([
    { name: 'ceph', path: 'rbd:ceph', freeMiB: 10, totalMiB: 100, hasCache: false, ceph: { isFull: true } },
    { name: null, hasCache: true },
  ]);
});
