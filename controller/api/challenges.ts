import { z } from 'zod';
import { challengeRows } from '../certificates/challenge-rows.ts';
import type { ApplicationRecord, ChallengeRecord, HostRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import type { Api } from './server.ts';

const challengeRow = z.object({
  token: z.string(),
  untilMs: z.number(),
  /** Where it is answered. */
  endpoints: z.array(z.string()),
  hosts: z.array(z.object({ host: z.string(), answers: z.boolean() })),
  /** Public addresses of these endpoints that no edge host has yet. */
  awaited: z.array(z.string()),
});

const params = z.object({ token: z.string().max(128) });

/** Answers to ACME's HTTP-01. */
export function challengeRoutes(api: Api, { challenges, store, fleet }: ApiContext): void {
  api.get(
    '/v1/challenges',
    {
      schema: {
        description: 'What ACME servers are answered by HTTP-01, and which edge hosts do so already.',
        response: { 200: z.array(challengeRow) },
      },
    },
    () => rows(),
  );
  api.put(
    '/v1/challenges/:token',
    {
      schema: {
        description: 'Has edge hosts answer a challenge, for an hour at most.',
        params,
        body: z.object({ authorization: z.string().max(256) }),
        response: { 200: challengeRow },
      },
    },
    async ({ params: { token }, body }) => {
      await challenges.put(token, body.authorization);
      const row = (await rows()).find((each) => each.token === token);
      return row ?? { token, untilMs: 0, endpoints: [], hosts: [], awaited: [] };
    },
  );
  api.delete(
    '/v1/challenges/:token',
    {
      schema: {
        description: 'Ends that; false: there was none.',
        params,
        response: { 200: z.object({ removed: z.boolean() }) },
      },
    },
    async ({ params: { token } }) => ({ removed: await challenges.remove(token) }),
  );

  async function rows() {
    const [records, applications, hosts] = await Promise.all([
      store.list('challenges/'),
      store.list('apps/'),
      store.list('hosts/'),
    ]);
    const found = challengeRows(
      records.entries.map(({ value }) => value as ChallengeRecord),
      applications.entries.map(({ value }) => value as ApplicationRecord),
      hosts.entries.map(({ value }) => value as HostRecord),
      fleet.hosts(),
    );
    return found.map((row) => ({
      ...row,
      ...{ endpoints: [...row.endpoints], hosts: [...row.hosts], awaited: [...row.awaited] },
    }));
  }
}
