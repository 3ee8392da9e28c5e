import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, Migrator, SqliteDialect } from 'kysely';
import { WeftError } from '../../../agent/kit/errors.ts';
import { ChangeLog } from '../change-log.ts';
import type { Change, Entry, Snapshot, Store, Transaction, TransactionResult } from '../contract.ts';
import { freeze } from '../frozen.ts';
import { MIGRATIONS } from '../migrations/index.ts';

interface Row {
  readonly key: string;
  readonly revision: number;
}

/** A transaction with its values as the file has them. */
interface Written {
  readonly checks: NonNullable<Transaction['checks']>;
  readonly texts: readonly { readonly key: string; readonly text: string }[];
  readonly deletes: NonNullable<Transaction['deletes']>;
}

/**
 * The embedded store: one SQLite file, write-ahead log, every commit synced to disk before it is told (synchronous=FULL),
 * so what a caller or a watcher has seen survives a power cut.
 */
export class SqliteStore implements Store {
  readonly #database: Database.Database;
  readonly #log: ChangeLog;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #commit: (transaction: Written) => TransactionResult;
  /** Values as they were read or written last. Only this process writes the file, so a value of the row's revision is the row's. */
  readonly #values = new Map<string, { readonly value: unknown; readonly revision: number }>();
  #revision: number;

  /** Opens the file, makes it when it is not there, and brings its tables up to date. @throws WeftError `set-up` for a file that is damaged or of a newer Weft. */
  static async open(file: string): Promise<SqliteStore> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    try {
      const database = new Database(file);
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.pragma('busy_timeout = 5000');
      await migrate(database);
      return new SqliteStore(database);
    } catch (error) {
      throw new WeftError('set-up', `the store ${file} cannot be used: ${(error as Error).message}`, {
        remedy:
          'Restore it from a backup, or start with another --state folder; machines keep their disks either way.',
        cause: error,
      });
    }
  }

  private constructor(database: Database.Database) {
    this.#database = database;
    this.#statements = prepare(database);
    this.#revision = this.#statements.revision.get()?.value ?? 0;
    this.#log = new ChangeLog(this.#revision);
    this.#commit = database.transaction((written: Written) => this.#apply(written)).immediate;
  }

  async get(key: string): Promise<Entry | null> {
    const row = this.#statements.revisionOf.get(key);
    return row ? this.#entryOf(key, row.revision) : null;
  }

  async list(prefix: string): Promise<Snapshot> {
    const rows = this.#statements.list.all(prefix, `${prefix}\u{10ffff}`);
    return {
      revision: this.#revision,
      entries: rows.map(({ key, revision }) => this.#entryOf(key, revision)),
    };
  }

  async transact({ checks = [], puts = [], deletes = [] }: Transaction): Promise<TransactionResult> {
    const texts = puts.map(({ key, value }) => ({ key, text: JSON.stringify(value) }));
    const result = this.#commit({ checks, texts, deletes });
    if (!result.committed || result.revision === this.#revision) return result;
    const { revision } = result;
    this.#revision = revision;
    const changes: Change[] = texts.map(({ key, text }) => {
      const value = readValue(text);
      this.#values.set(key, { value, revision });
      return { revision, key, value };
    });
    for (const key of this.#gone) {
      this.#values.delete(key);
      changes.push({ revision, key, value: null });
    }
    this.#log.append(changes);
    return result;
  }

  watch(prefix: string, fromRevision: number, listener: (changes: readonly Change[]) => void): () => void {
    return this.#log.watch(prefix, fromRevision, listener);
  }

  async revision(): Promise<number> {
    return this.#revision;
  }

  async close(): Promise<void> {
    this.#log.close();
    this.#database.close();
  }

  /** Keys that the last transaction's deletes found. */
  #gone: readonly string[] = [];

  #entryOf(key: string, revision: number): Entry {
    const known = this.#values.get(key);
    if (known?.revision === revision) return { key, value: known.value, revision };
    const value = readValue(this.#statements.value.get(key)?.value ?? 'null');
    this.#values.set(key, { value, revision });
    return { key, value, revision };
  }

  #apply({ checks, texts, deletes }: Written): TransactionResult {
    const { revisionOf, put, remove, setRevision } = this.#statements;
    const conflicts = checks
      .filter(({ key, revision }) => (revisionOf.get(key)?.revision ?? 0) !== revision)
      .map(({ key }) => key);
    if (conflicts.length > 0) return { committed: false, conflicts };
    this.#gone = deletes.filter((key) => revisionOf.get(key) !== undefined);
    if (texts.length + this.#gone.length === 0) return { committed: true, revision: this.#revision };
    const revision = this.#revision + 1;
    for (const { key, text } of texts) put.run(key, text, revision);
    for (const key of this.#gone) remove.run(key);
    setRevision.run(revision);
    return { committed: true, revision };
  }
}

function prepare(database: Database.Database) {
  return {
    value: database.prepare<[string], { value: string }>('select value from entries where key = ?'),
    revisionOf: database.prepare<[string], { revision: number }>(
      'select revision from entries where key = ?',
    ),
    list: database.prepare<[string, string], Row>(
      'select key, revision from entries where key >= ? and key < ? order by key',
    ),
    put: database.prepare<[string, string, number]>(
      'insert into entries (key, value, revision) values (?, ?, ?) on conflict (key) do update set value = excluded.value, revision = excluded.revision',
    ),
    remove: database.prepare<[string]>('delete from entries where key = ?'),
    revision: database.prepare<[], { value: number }>("select value from counter where name = 'revision'"),
    setRevision: database.prepare<[number]>("update counter set value = ? where name = 'revision'"),
  };
}

const readValue = (text: string): unknown => freeze(JSON.parse(text));

async function migrate(database: Database.Database): Promise<void> {
  const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
  const migrator = new Migrator({
    db: kysely,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
