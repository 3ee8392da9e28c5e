import { type Kysely, type Migration, sql } from 'kysely';

/** Documents under keys, and the one revision counter. */
export const entries: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    await database.schema
      .createTable('entries')
      .addColumn('key', 'text', (column) => column.primaryKey().notNull())
      .addColumn('value', 'text', (column) => column.notNull())
      .addColumn('revision', 'integer', (column) => column.notNull())
      .modifyEnd(sql`without rowid`)
      .execute();
    await database.schema
      .createTable('counter')
      .addColumn('name', 'text', (column) => column.primaryKey().notNull())
      .addColumn('value', 'integer', (column) => column.notNull())
      .execute();
    await sql`insert into counter (name, value) values ('revision', 0)`.execute(database);
  },
};
