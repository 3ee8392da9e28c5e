import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { backupId } from '../../agent/protocol/index.ts';
import type { Fleet } from '../fleet/contract.ts';
import { backupRef } from '../model/backup-ids.ts';
import type { BackupRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { document, name, nothing, vmIdOf, vmParams } from './schemas.ts';
import type { Api } from './server.ts';

const backupParams = vmParams.extend({ id: backupId });
const refOf = (params: { app: string; name: string; id: string }) => `${vmIdOf(params)}/${params.id}`;

/** A row of `weft machine backups --json`. */
export function backupRow(record: BackupRecord, fleet: Pick<Fleet, 'hosts'>) {
  const reports = fleet.hosts().find((host) => host.name === record.host)?.report?.backups ?? [];
  const running = reports.find(({ vmId, id, task }) => {
    return vmId === record.vmId && id === record.id && task === 'make';
  });
  return {
    backup: backupRef(record),
    machine: record.vmId,
    state: record.state,
    reason: record.reason,
    target: record.target,
    host: record.host,
    image: `${record.image.name}:${record.image.version}`,
    createdAtMs: record.createdAtMs,
    endedAtMs: record.endedAtMs,
    /** While it is made; null: not begun, or over. */
    percent: record.state === 'wanted' ? (running?.percent ?? null) : null,
    made: record.made,
    failure: record.failure,
    restore: record.restore,
  };
}
export type BackupRow = ReturnType<typeof backupRow>;

export function backupRoutes(api: Api, context: ApiContext): void {
  const { fleet, operations, store } = context;
  api.get(
    '/v1/backups',
    {
      schema: {
        description:
          'Backups of all machines, or of one application or machine: the rows of weft machine backups.',
        querystring: z.object({ app: name.optional(), machine: z.string().max(64).optional() }),
        response: { 200: z.array(document) },
      },
    },
    async ({ query: { app, machine } }) => {
      const prefix = app === undefined ? '' : machine === undefined ? `${app}/` : `${app}/${machine}/`;
      const { entries } = await store.list(`backups/${prefix}`);
      return entries.map(({ value }) => backupRow(value as BackupRecord, fleet));
    },
  );
  api.get(
    '/v1/backups/:app/:name/:id',
    { schema: { description: 'One backup.', params: backupParams, response: { 200: document } } },
    async ({ params }) => {
      const entry = await store.get(`backups/${refOf(params)}`);
      if (entry) return backupRow(entry.value as BackupRecord, fleet);
      throw new WeftError('not-found', `there is no backup ${refOf(params)}`, {
        remedy: 'See: weft machine backups',
      });
    },
  );
  api.post(
    '/v1/vms/:app/:name/backups',
    {
      schema: {
        description: 'Backs a machine up while it runs; answers when that is asked for, not when it is done.',
        params: vmParams,
        body: z.object({ to: name.optional().describe('A backup target or pool of its host.') }),
        response: { 200: z.object({ backup: z.string() }) },
      },
    },
    ({ params, body }) => operations.backup(vmIdOf(params), body.to ?? null),
  );
  api.post(
    '/v1/backups/:app/:name/:id/restore',
    {
      schema: {
        description:
          'Restores a backup: as a new machine, or in place, which discards what the machine has now. It is read as a whole first; one that is damaged is refused, and nothing is made.',
        params: backupParams,
        body: z
          .object({
            as: z.string().max(96).optional().describe('application/machine, which must not be there yet.'),
            inPlace: z.boolean().default(false),
          })
          .refine(({ as, inPlace }) => (as === undefined) === inPlace, {
            error: 'needs either as or inPlace',
          }),
        response: { 200: z.object({ request: z.string(), as: z.string() }) },
      },
    },
    ({ params, body }) => operations.restore(refOf(params), body.as ?? null),
  );
  api.delete(
    '/v1/backups/:app/:name/:id',
    {
      schema: {
        description: 'Removes a backup and its files.',
        params: backupParams,
        response: { 200: nothing },
      },
    },
    async ({ params }) => {
      await operations.removeBackup(refOf(params));
      return {};
    },
  );
}
