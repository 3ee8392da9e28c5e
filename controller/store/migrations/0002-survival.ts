import { type Kysely, type Migration, sql } from 'kysely';

/** What hosts and VMs have learned to remember of failures and deaths. Only what is missing is added. */
export const survival: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    await sql`
      update entries set value = json_insert(value,
        '$.evidence', 'it was known before evidence was written down',
        '$.proof', null,
        '$.fencing', null,
        '$.downsAtMs', json('[]'),
        '$.heldOffUntilMs', null,
        '$.superseded', json('{}'))
      where key like 'hosts/%'`.execute(database);
    await sql`
      update entries set value = json_insert(value, '$.offer.fence', json('[]'))
      where key like 'hosts/%' and json_type(value, '$.offer') = 'object'`.execute(database);
    await sql`
      update entries set value = json_insert(value,
        '$.poolId', null,
        '$.diskIncarnation', 0,
        '$.proof', null,
        '$.failedOn', json('{}'),
        '$.restarts', null)
      where key like 'vms/%'`.execute(database);
  },
};
