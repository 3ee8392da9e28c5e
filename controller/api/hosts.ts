import { z } from 'zod';
import { doctorReport } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import { unknownHost } from '../operations/hosts.ts';
import type { Store } from '../store/contract.ts';
import type { ApiContext } from './context.ts';
import { drainRoutes } from './drains.ts';
import { hostRow } from './rows.ts';
import { document, name, nothing } from './schemas.ts';
import type { Api } from './server.ts';

const DEFAULT_TTL_MS = 3_600_000;
const deviceTest = z.object({
  device: z.string(),
  ok: z.boolean(),
  power: z.enum(['on', 'off']).nullable(),
  message: z.string(),
  ms: z.number(),
});
const hostParams = z.object({ host: name });

export function hostRoutes(api: Api, context: ApiContext): void {
  const { fleet, operations, store } = context;
  api.get(
    '/v1/hosts',
    { schema: { description: 'All hosts: the rows of weft host ls.', response: { 200: z.array(document) } } },
    async () => {
      const [hosts, vms] = await Promise.all([store.list('hosts/'), store.list('vms/')]);
      const placed = vms.entries.map(({ value }) => (value as VmRecord).host);
      return hosts.entries.map(({ value }) => {
        const record = value as HostRecord;
        return hostRow(record, placed.filter((host) => host === record.name).length, fleet);
      });
    },
  );
  api.post(
    '/v1/hosts/tokens',
    {
      schema: {
        description: 'Makes a one-use token with which a host joins.',
        body: z.object({
          label: z.string().max(128).default(''),
          ttlMs: z
            .number()
            .int()
            .min(1_000)
            .max(30 * 86_400_000)
            .default(DEFAULT_TTL_MS),
        }),
        response: { 200: z.object({ token: z.string() }) },
      },
    },
    async ({ body }) => ({ token: await fleet.mintJoinToken(body) }),
  );
  api.get(
    '/v1/hosts/:host/doctor',
    {
      schema: {
        description: 'What the doctor of a host saw when it last looked.',
        params: hostParams,
        response: { 200: z.object({ connected: z.boolean(), doctor: doctorReport.nullable() }) },
      },
    },
    async ({ params }) => {
      await requireHost(store, params.host);
      const link = fleet.hosts().find(({ name: each }) => each === params.host);
      return { connected: link?.connected === true, doctor: link?.report?.doctor ?? null };
    },
  );
  api.post(
    '/v1/hosts/:host/doctor',
    {
      schema: {
        description:
          'Asks the doctor of a host to look now; answered when it names the request among those answered.',
        params: hostParams,
        body: z.object({
          repair: z.boolean().default(false).describe('Repair what can be repaired, without a grace time.'),
          digests: z.boolean().default(false).describe('Read the layers below disks again.'),
        }),
        response: { 200: z.object({ requestId: z.string() }) },
      },
    },
    async ({ params, body }) => {
      await requireHost(store, params.host);
      return { requestId: fleet.examine(params.host, body) };
    },
  );
  drainRoutes(api, context);
  api.post(
    '/v1/hosts/:host/confirm-dead',
    {
      schema: {
        description:
          'Signs that a host that is down is dead, so that its machines on shared pools are restarted elsewhere.',
        params: hostParams,
        response: { 200: nothing },
      },
    },
    async ({ params, user }) => {
      await operations.confirmDead(params.host, user);
      return {};
    },
  );
  api.post(
    '/v1/hosts/:host/fence-test',
    {
      schema: {
        description: 'Asks each fence device of a host for the power’s state; changes nothing.',
        params: hostParams,
        response: { 200: z.array(deviceTest) },
      },
    },
    async ({ params }) => [...(await operations.fenceTest(params.host))],
  );
  api.delete(
    '/v1/hosts/:host',
    {
      schema: {
        description:
          'Removes a host on which nothing is left; with force also one that is proven dead, with the machines whose disks only it has.',
        params: hostParams,
        querystring: z.object({ force: z.enum(['true', 'false']).optional() }),
        response: { 200: nothing },
      },
    },
    async ({ params, query }) => {
      await operations.removeHost(params.host, { force: query.force === 'true' });
      return {};
    },
  );
}

async function requireHost(store: Store, host: string): Promise<void> {
  if (await store.get(`hosts/${host}`)) return;
  throw unknownHost(host);
}
