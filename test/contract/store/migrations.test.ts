import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SqliteStore } from '../../../controller/store/sqlite/sqlite-store.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-migrations-'));
  file = join(folder, 'weft.db');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A store as the first version left it. */
async function anOldStore(records: Readonly<Record<string, unknown>>): Promise<void> {
  await (await SqliteStore.open(file)).close();
  const database = new Database(file);
  database.prepare("delete from kysely_migration where name > '0001-entries'").run();
  const insert = database.prepare('insert into entries (key, value, revision) values (?, ?, 1)');
  for (const [key, value] of Object.entries(records)) insert.run(key, JSON.stringify(value));
  database.close();
}

test('records of an older version get what they lack, keep what they have, and are migrated once', async () => {
  await anOldStore({
    'hosts/h1': { name: 'h1', state: 'up', facts: null, offer: { cpus: 4, pools: [] }, draining: true },
    'hosts/h2': { name: 'h2', state: 'joining', facts: null, offer: null, proof: { kind: 'operator' } },
    'vms/crm/db': { id: 'crm/db', failure: null, failures: 2, image: { name: 'tiny' } },
    'apps/crm': { name: 'crm' },
  });
  for (const _start of [1, 2]) {
    const store = await SqliteStore.open(file);
    const read = async (key: string) => (await store.get(key))?.value;
    expect(await read('hosts/h1')).toEqual({
      ...{ name: 'h1', state: 'up', facts: null, offer: { cpus: 4, pools: [], fence: [] }, draining: true },
      ...{ proof: null, fencing: null, downsAtMs: [], heldOffUntilMs: null, superseded: {} },
      evidence: expect.any(String),
    });
    expect(await read('hosts/h2')).toMatchObject({
      offer: null,
      proof: { kind: 'operator' },
      superseded: {},
    });
    expect(await read('vms/crm/db')).toEqual({
      ...{ id: 'crm/db', failure: null, failures: 2, image: { name: 'tiny' } },
      ...{ poolId: null, diskIncarnation: 0, proof: null, failedOn: {}, restarts: null },
    });
    expect(await read('apps/crm')).toEqual({ name: 'crm' });
    await store.close();
  }
});
