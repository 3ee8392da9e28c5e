import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, Store } from '../../../controller/store/contract.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { SqliteStore } from '../../../controller/store/sqlite/sqlite-store.ts';

let folder: string;
const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => new MemoryStore(),
  sqlite: () => SqliteStore.open(join(folder, 'weft.db')),
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-store-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const tick = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const put = (key: string, value: unknown) => ({ puts: [{ key, value }] });

describe.each(Object.keys(stores))('the %s store', (kind) => {
  let store: Store;
  beforeEach(async () => {
    store = await (stores[kind] as () => Promise<Store>)();
  });
  afterEach(() => store.close());

  test('keeps a document under its key, with the revision of its last write', async () => {
    expect(await store.get('a')).toBeNull();
    expect(await store.transact(put('a', { n: 1 }))).toEqual({ committed: true, revision: 1 });
    expect(await store.transact(put('a', { n: 2 }))).toEqual({ committed: true, revision: 2 });
    expect(await store.get('a')).toEqual({ key: 'a', value: { n: 2 }, revision: 2 });
    expect(await store.revision()).toBe(2);
  });

  test('lists by prefix in key order, as of one revision', async () => {
    await store.transact({ puts: ['vms/b', 'vms/a', 'vmsx', 'hosts/a'].map((key) => ({ key, value: key })) });
    const { revision, entries } = await store.list('vms/');
    expect(revision).toBe(1);
    expect(entries.map((entry) => entry.key)).toEqual(['vms/a', 'vms/b']);
    expect((await store.list('')).entries).toHaveLength(4);
  });

  test('holds what was written, whatever is done to the values that went in or came out', async () => {
    const written = { list: [1], inner: { n: 1 } };
    const told: Change[] = [];
    store.watch('', 0, (changes) => told.push(...changes));
    await store.transact(put('a', written));
    written.inner.n = 2;
    await tick();
    const [listed] = (await store.list('')).entries;
    // A store may refuse a change of what it gave out, or give out copies.
    for (const value of [
      (await store.get('a'))?.value,
      listed?.value,
      told[0]?.value,
    ] as (typeof written)[]) {
      try {
        value.inner.n = 3;
        value.list.push(2);
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
      }
    }
    expect((await store.get('a'))?.value).toEqual({ list: [1], inner: { n: 1 } });
    await store.transact(put('a', { list: [9] }));
    expect((await store.get('a'))?.value).toEqual({ list: [9] });
    await store.transact({ deletes: ['a'] });
    expect(await store.get('a')).toBeNull();
    await store.transact(put('a', 'again'));
    expect((await store.list('')).entries).toMatchObject([{ key: 'a', value: 'again' }]);
  });

  test('writes nothing of a transaction whose check fails, and names the keys', async () => {
    await store.transact(put('a', 1));
    const result = await store.transact({
      checks: [
        { key: 'a', revision: 1 },
        { key: 'b', revision: 3 },
      ],
      puts: [{ key: 'c', value: 1 }],
      deletes: ['a'],
    });
    expect(result).toEqual({ committed: false, conflicts: ['b'] });
    expect(await store.get('c')).toBeNull();
    expect(await store.get('a')).not.toBeNull();
    expect(await store.revision()).toBe(1);
  });

  test('a check for revision 0 holds only for a key that is not there', async () => {
    const create = { checks: [{ key: 'a', revision: 0 }], ...put('a', 1) };
    expect(await store.transact(create)).toMatchObject({ committed: true });
    expect(await store.transact(create)).toEqual({ committed: false, conflicts: ['a'] });
  });

  test('of two that write from the same revision, one wins', async () => {
    await store.transact(put('a', 0));
    const write = (value: number) =>
      store.transact({ checks: [{ key: 'a', revision: 1 }], puts: [{ key: 'a', value }] });
    const results = await Promise.all([write(1), write(2)]);
    expect(results.filter((result) => result.committed)).toHaveLength(1);
  });

  test('watchers hear every change after their revision: in order, once, a transaction at a time', async () => {
    await store.transact(put('vms/a', 1));
    const heard: (readonly Change[])[] = [];
    const stop = store.watch('vms/', 1, (changes) => heard.push(changes));
    await store.transact({ puts: [{ key: 'vms/b', value: 2 }], deletes: ['vms/a', 'absent'] });
    await store.transact(put('hosts/x', 1));
    await store.transact(put('vms/c', 3));
    await tick();
    expect(heard).toEqual([
      [
        { revision: 2, key: 'vms/b', value: 2 },
        { revision: 2, key: 'vms/a', value: null },
      ],
      [{ revision: 4, key: 'vms/c', value: 3 }],
    ]);
    stop();
    await store.transact(put('vms/d', 4));
    await tick();
    expect(heard).toHaveLength(2);
  });

  test('a list and a watch from its revision together miss nothing', async () => {
    await store.transact(put('a', 1));
    const { revision } = await store.list('');
    await store.transact(put('a', 2));
    const heard: Change[] = [];
    store.watch('', revision, (changes) => heard.push(...changes));
    await tick();
    expect(heard).toEqual([{ revision: 2, key: 'a', value: 2 }]);
  });

  test('what comes out is a copy', async () => {
    const value = { list: [1] };
    await store.transact(put('a', value));
    value.list.push(2);
    expect((await store.get('a'))?.value).toEqual({ list: [1] });
  });
});

describe('the sqlite store', () => {
  test('has everything after it was closed and opened', async () => {
    const file = join(folder, 'weft.db');
    const first = await SqliteStore.open(file);
    await first.transact(put('a', 1));
    await first.close();
    const second = await SqliteStore.open(file);
    expect(await second.get('a')).toEqual({ key: 'a', value: 1, revision: 1 });
    expect(await second.transact(put('b', 1))).toMatchObject({ revision: 2 });
    expect(() => second.watch('', 0, () => undefined)).toThrow(/no longer kept/);
    await second.close();
  });

  test('says what to do about a file that is no database', async () => {
    const file = join(folder, 'weft.db');
    await writeFile(file, 'not a database at all, but long enough to be taken for one'.repeat(100));
    await expect(SqliteStore.open(file)).rejects.toMatchObject({ code: 'set-up' });
  });
});
