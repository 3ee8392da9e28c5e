import { z } from 'zod';
import type { ApiContext } from './context.ts';
import { howToMove, moveModeOf } from './move-mode.ts';
import { name, nothing } from './schemas.ts';
import type { Api } from './server.ts';

const params = z.object({ host: name });
const progress = z.object({
  host: z.string(),
  state: z.string(),
  mode: z.string(),
  asked: z.object({ atMs: z.number(), by: z.string(), cold: z.boolean(), live: z.boolean() }).nullable(),
  total: z.number(),
  left: z.array(z.object({ id: z.string(), state: z.string(), waitsFor: z.string(), reason: z.string() })),
});

/** Emptying a host, for work on it or for good. */
export function drainRoutes(api: Api, { operations }: ApiContext): void {
  api.post(
    '/v1/hosts/:host/drain',
    {
      schema: {
        description:
          'Places nothing new on a host and moves away what is there; asked again, it tries again what has failed.',
        params,
        body: z
          .object({
            ...howToMove,
            roll: z
              .object({ id: z.string().max(64), hosts: z.array(name).max(10_000) })
              .optional()
              .describe('The roll that it is for: the host is drained until it runs another boot.'),
          })
          .nullish(),
        response: { 200: nothing },
      },
    },
    async ({ params: { host }, body, user }) => {
      await operations.setDraining(host, true, {
        mode: moveModeOf(body ?? {}),
        copies: body?.copyStorage === true,
        by: user,
        roll: body?.roll,
      });
      return {};
    },
  );
  api.get(
    '/v1/hosts/:host/drain',
    {
      schema: {
        description: 'How far a drain is, and what each VM that is left waits for.',
        params,
        response: { 200: progress },
      },
    },
    async ({ params: { host } }) => {
      const { left, ...rest } = await operations.drainProgress(host);
      return { ...rest, left: [...left] };
    },
  );
  api.post(
    '/v1/hosts/:host/undrain',
    {
      schema: {
        description: 'Ends draining, wherever it is; the host takes VMs again.',
        params,
        response: { 200: nothing },
      },
    },
    async ({ params: { host } }) => {
      await operations.setDraining(host, false);
      return {};
    },
  );
  api.post(
    '/v1/hosts/:host/reboot',
    {
      schema: {
        description: 'Lets the agent boot its host anew; only of a host that is up and in maintenance.',
        params,
        response: { 200: nothing },
      },
    },
    async ({ params: { host } }) => {
      await operations.rebootHost(host);
      return {};
    },
  );
}
