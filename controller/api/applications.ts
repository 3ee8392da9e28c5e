import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import type { ApplicationRecord } from '../model/records.ts';
import type { UploadedPackages } from '../operations/contract.ts';
import type { ApiContext } from './context.ts';
import { endpointRow } from './endpoint-rows.ts';
import { endpointsNow } from './endpoints-now.ts';
import { appParams, digest, document, name, nothing } from './schemas.ts';
import type { Api } from './server.ts';

const model = z.object({
  source: z.string().max(1 << 20),
  /** Path as written in the model → digest of the upload. */
  packages: z.record(z.string(), digest).default({}),
});

export function applicationRoutes(api: Api, context: ApiContext): void {
  const { operations, store, blobs, clock } = context;

  const uploaded = async (packages: Readonly<Record<string, string>>): Promise<UploadedPackages> =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(packages).map(async ([path, each]) => {
          // Wanted from now on: what is uploaded and never applied goes after a while.
          const blob = await blobs.touch(each, clock.now());
          if (!blob) throw new WeftError('not-found', `package ${path} (${each}) was not uploaded`);
          return [path, { digest: each, sizeBytes: blob.sizeBytes }] as const;
        }),
      ),
    );

  api.put(
    '/v1/applications/:app',
    {
      schema: {
        description: 'Creates or changes an application.',
        params: appParams,
        body: model,
        response: { 200: z.object({ generation: z.number(), changed: z.boolean() }) },
      },
    },
    async ({ params, body }) => operations.apply(params.app, body.source, await uploaded(body.packages)),
  );
  api.post(
    '/v1/plan',
    {
      schema: {
        description: 'What applying this model would do; changes nothing.',
        body: model.extend({ app: name }),
        response: { 200: document },
      },
    },
    async ({ body }) => ({
      ...(await operations.plan(body.app, body.source, await uploaded(body.packages))),
    }),
  );
  api.get(
    '/v1/applications',
    { schema: { description: 'All applications.', response: { 200: z.array(document) } } },
    async () => {
      const [{ entries }, vms] = await Promise.all([store.list('apps/'), store.list('vms/')]);
      return entries.map(({ value }) => {
        const record = value as ApplicationRecord;
        const mine = vms.entries
          .map((entry) => entry.value as { app: string; state: string })
          .filter((vm) => vm.app === record.name);
        return {
          name: record.name,
          generation: record.generation,
          deleting: record.deleting,
          roles: Object.fromEntries(
            Object.entries(record.service.roles).map(([role, { instances }]) => [role, instances]),
          ),
          machines: Object.keys(record.service.machines),
          vms: mine.length,
          ready: mine.filter((vm) => vm.state === 'ready').length,
        };
      });
    },
  );
  api.get(
    '/v1/applications/:app',
    {
      schema: {
        description: 'One application, with how its endpoints are served to the world.',
        params: appParams,
        response: { 200: z.looseObject({ endpoints: z.array(endpointRow) }) },
      },
    },
    async ({ params }) => {
      const entry = await store.get(`apps/${params.app}`);
      if (!entry)
        throw new WeftError('not-found', `there is no application ${params.app}`, { remedy: 'See: weft ls' });
      const application = entry.value as ApplicationRecord;
      return { ...application, endpoints: await endpointsNow(context, application) };
    },
  );
  api.delete(
    '/v1/applications/:app',
    {
      schema: {
        description: 'Deletes an application with all its VMs and disks.',
        params: appParams,
        response: { 200: nothing },
      },
    },
    async ({ params }) => {
      await operations.deleteApplication(params.app);
      return {};
    },
  );
  api.post(
    '/v1/applications/:app/roles/:role/scale',
    {
      schema: {
        description:
          'Changes the number of instances of a role: to 1,000 at most, unless it has more. `no-capacity` also where the guests’ range has no subnet left.',
        params: z.object({ app: name, role: name }),
        body: z.object({ instances: z.number().int().min(0).max(10_000) }),
        response: { 200: z.object({ generation: z.number() }) },
      },
    },
    async ({ params, body }) => operations.scale(params.app, params.role, body.instances),
  );
}
