import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { certificateRows } from '../certificates/rows.ts';
import { servingHosts } from '../certificates/served.ts';
import type { ApplicationRecord, CertificateRecord, HostRecord } from '../model/records.ts';
import { certificateRow } from './certificate-answers.ts';
import type { ApiContext } from './context.ts';
import { listOf, name, nothing } from './schemas.ts';
import type { Api } from './server.ts';

const MAXIMUM_CHARACTERS = 128 * 1024;
const params = z.object({ name });

/** Certificates with which load balancers end TLS. What is secret comes in here, and goes out by no answer. */
export function certificateRoutes(api: Api, context: ApiContext): void {
  const { certificates, clock } = context;
  api.get(
    '/v1/certificates',
    {
      schema: {
        description: 'Certificates that are kept or named by endpoints: the rows of weft certificate ls.',
        response: { 200: listOf(certificateRow) },
      },
    },
    () => rowsOf(context),
  );
  api.put(
    '/v1/certificates/:name',
    {
      schema: {
        description:
          'Keeps a certificate with its key, in place of one of the same name; edge hosts take it on.',
        params,
        body: z.object({
          certificate: z
            .string()
            .max(MAXIMUM_CHARACTERS)
            .describe('PEM: the certificate, what signs it, and, unless it is given apart, its key.'),
          key: z.string().max(MAXIMUM_CHARACTERS).optional().describe('PEM, without a passphrase.'),
        }),
        response: { 200: certificateRow },
      },
    },
    async ({ params: { name: each }, body, user }) => {
      await certificates.put(each, `${body.certificate}\n${body.key ?? ''}`, user);
      const row = (await rowsOf(context)).find((known) => known.name === each);
      if (row) return row;
      throw new WeftError('conflict', `certificate ${each} was removed meanwhile`);
    },
  );
  api.post(
    '/v1/certificates/:name/renew',
    {
      schema: {
        description: 'Has the hook obtain another one now, also after failures that it would wait for.',
        params,
        response: { 200: nothing },
      },
    },
    async ({ params: { name: each } }) => {
      await certificates.renew(each);
      return {};
    },
  );
  api.delete(
    '/v1/certificates/:name',
    {
      schema: {
        description: 'Removes a certificate that no endpoint names; with force any.',
        params,
        querystring: z.object({ force: z.enum(['true', 'false']).optional() }),
        response: { 200: nothing },
      },
    },
    async ({ params: { name: each }, query }) => {
      await certificates.remove(each, { force: query.force === 'true' });
      return {};
    },
  );

  async function rowsOf({ store, fleet }: ApiContext) {
    const [records, applications, hosts] = await Promise.all([
      store.list('certificates/'),
      store.list('apps/'),
      store.list('hosts/'),
    ]);
    const edges = servingHosts(
      hosts.entries.map(({ value }) => value as HostRecord),
      fleet.hosts(),
    );
    return certificateRows(
      records.entries.map(({ value }) => value as CertificateRecord),
      applications.entries.map(({ value }) => value as ApplicationRecord),
      { hasHook: certificates.hasHook, nowMs: clock.now(), edges },
    );
  }
}
