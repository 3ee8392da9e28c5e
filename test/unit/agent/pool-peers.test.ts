import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PoolView } from '../../../agent/disks/contract.ts';
import { PoolPeersBook } from '../../../agent/disks/pool-peers.ts';
import { poolPeers } from '../../../agent/protocol/index.ts';

const ID = '11111111-2222-4333-8444-555555555555';
const VIEW: PoolView = { name: 'san', kind: 'shared', id: ID, freeMiB: 1, totalMiB: 1, problem: null };

let folder: string;
let nowMs: number;
/** What is to be done later. */
let due: (() => void)[];
const clock = {
  after(_delayMs: number, action: () => void) {
    due.push(action);
    return {
      cancel() {
        due = due.filter((each) => each !== action);
      },
    };
  },
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-peers-'));
  await mkdir(join(folder, 'san'));
  nowMs = 0;
  due = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const aBook = (host: string, path = join(folder, 'san')) => {
  const warned: string[] = [];
  const book = new PoolPeersBook({
    host,
    pools: [
      { name: 'local', kind: 'local', path: join(folder, 'local') },
      { name: 'san', kind: 'shared', path },
    ],
    nowMs: () => nowMs,
    clock,
    log: { warn: (_facts: unknown, text?: string) => void warned.push(String(text)) } as never,
  });
  let changes = 0;
  book.onChanged(() => changes++);
  return {
    warned,
    changes: () => changes,
    seek: (...hosts: string[]) => book.seek(hosts.length === 0 ? {} : { san: hosts }),
    close: () => book.close(),
    report: () => book.report(),
    /** @returns what is reported of the pool, after a look at this time. */
    look: async (afterMs = 10_000, view = VIEW) => {
      nowMs += afterMs;
      await book.follow([view]);
      const [seen] = book.report()?.pools ?? [];
      return seen === undefined ? null : poolPeers.parse(seen);
    },
  };
};

test('hosts on one folder find each other, hosts on a copy do not', async () => {
  const h1 = aBook('h1');
  const h2 = aBook('h2');
  const first = await h1.look();
  const second = await h2.look();
  await cp(join(folder, 'san'), join(folder, 'copy'), { recursive: true });
  const h3 = aBook('h3', join(folder, 'copy'));
  // The copy has what was there when it was made. What the others do not find there is what h3 writes.
  expect((await h3.look())?.seen).toEqual({ h1: first?.beats[0], h2: second?.beats[0] });
  expect((await h1.look())?.seen).toEqual({ h2: second?.beats[0] });
  // An agent that starts writes anew, and the copy keeps the old one.
  const again = await aBook('h1').look();
  expect(again?.beats).toHaveLength(1);
  expect((await h2.look())?.seen).toEqual({ h1: again?.beats[0] });
  expect((await h3.look())?.seen.h1).toBe(first?.beats[0]);
});

test('it writes at its start, once an hour, and when another folder is mounted there, and no more', async () => {
  const book = aBook('h1');
  const first = await book.look();
  expect((await book.look())?.beats).toEqual(first?.beats);
  expect((await book.look(3_500_000))?.beats).toEqual(first?.beats);
  const renewed = await book.look(100_000);
  expect(renewed?.beats).toEqual([expect.any(String), first?.beats[0]]);
  await rename(join(folder, 'san'), join(folder, 'before'));
  await cp(join(folder, 'before'), join(folder, 'san'), { recursive: true });
  const mounted = await book.look();
  expect(mounted?.beats).toHaveLength(1);
  expect(renewed?.beats).not.toContain(mounted?.beats[0]);
});

test('an older state of the same folder is another one', async () => {
  const book = aBook('h1');
  const first = await book.look();
  const file = join(folder, 'san/.weft/hosts/h1.json');
  await writeFile(file, JSON.stringify({ beat: '00000000-0000-4000-8000-000000000000' }));
  const now = await book.look();
  expect(now?.beats).toHaveLength(1);
  expect(now?.beats).not.toEqual(first?.beats);
});

test('it looks every ten seconds at most, and says how old its look is', async () => {
  const book = aBook('h1');
  expect(book.report()).toBe(null);
  await book.look();
  await aBook('h2').look(1_000);
  expect((await book.look(1_000))?.seen).toEqual({});
  expect(book.report()?.ageMs).toBe(2_000);
  expect(Object.keys((await book.look(8_000))?.seen ?? {})).toEqual(['h2']);
  expect(book.report()?.ageMs).toBe(0);
});

test('it looks at once when another pool is there, whenever the last look was', async () => {
  const book = aBook('h1');
  expect(await book.look(0, { ...VIEW, id: null })).toBe(null);
  await aBook('h2').look(0);
  expect(Object.keys((await book.look(0))?.seen ?? {})).toEqual(['h2']);
});

test('whom it is to find it looks for at once and again and again, and tells each that it finds', async () => {
  const book = aBook('h1');
  const seen = () => Object.keys(book.report()?.pools[0]?.seen ?? {});
  const again = () => vi.waitFor(() => expect(due).toHaveLength(1), 10_000);
  await book.look();
  expect(book.changes()).toBe(1);
  book.seek('h2');
  await again();
  expect([seen(), book.changes()]).toEqual([[], 1]);
  await aBook('h2').look(0);
  due.pop()?.();
  await again();
  expect([seen(), book.changes()]).toEqual([['h2'], 2]);
  // The same goal once more is no reason to look.
  book.seek('h2');
  expect(due).toHaveLength(1);
  book.seek();
  due.pop()?.();
  expect(due).toEqual([]);
  await aBook('h3').look(0);
  book.seek('h3');
  await again();
  expect(seen()).toEqual(['h2', 'h3']);
  book.close();
  expect(due).toEqual([]);
});

test('what is no such file is passed over, and what a crash left is removed', async () => {
  const hosts = join(folder, 'san/.weft/hosts');
  await mkdir(join(hosts, 'h9.json'), { recursive: true });
  await symlink('/dev/zero', join(hosts, 'h8.json'));
  await writeFile(join(hosts, 'h7.json'), 'no JSON');
  await writeFile(join(hosts, 'h6.json'), JSON.stringify({ beat: 'x'.repeat(36) }));
  await writeFile(join(hosts, 'h5.json'), `{"beat":"${ID}","more":"${'x'.repeat(5_000)}"}`);
  await writeFile(join(hosts, 'UPPER.json'), JSON.stringify({ beat: ID }));
  await writeFile(join(hosts, 'h1.json.0a1b2c3d4e5f.tmp'), '');
  await writeFile(join(hosts, 'h2.json.0a1b2c3d4e5f.tmp'), '');
  expect((await aBook('h1').look())?.seen).toEqual({});
  const left = await readdir(hosts);
  expect(left).toContain('h2.json.0a1b2c3d4e5f.tmp');
  expect(left).not.toContain('h1.json.0a1b2c3d4e5f.tmp');
});

test('a pool that cannot be used, or written to, is not spoken of', async () => {
  const away = aBook('h1');
  expect(await away.look(10_000, { ...VIEW, id: null })).toBe(null);
  await writeFile(join(folder, 'san/.weft'), 'in the way');
  const book = aBook('h1');
  expect(await book.look()).toBe(null);
  expect(await book.look()).toBe(null);
  expect(book.warned).toHaveLength(1);
});
