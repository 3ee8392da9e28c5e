import { z } from 'zod';
import type { ApiContext } from './context.ts';
import { digest, document, name, nothing } from './schemas.ts';
import type { Api } from './server.ts';

const version = z.string().max(64);
const imageParams = z.object({ name, version });
const job = z.object({ job: z.string() });

export function imageRoutes(api: Api, context: ApiContext): void {
  const { catalogue } = context;
  api.get(
    '/v1/images',
    { schema: { description: 'The catalogue of golden images.', response: { 200: z.array(document) } } },
    async () =>
      (await catalogue.list()).map(({ image, channels }) => ({
        ...image,
        sshKeySecret: undefined,
        channels,
      })),
  );
  api.get(
    '/v1/images/:name/:version',
    { schema: { description: 'One version of an image.', params: imageParams, response: { 200: document } } },
    async ({ params }) => {
      const { image, channels } = await catalogue.get(params.name, params.version);
      return { ...image, sshKeySecret: undefined, channels };
    },
  );
  api.delete(
    '/v1/images/:name/:version',
    {
      schema: {
        description: 'Removes a version that no application uses.',
        params: imageParams,
        response: { 200: nothing },
      },
    },
    async ({ params }) => {
      await catalogue.remove(params.name, params.version);
      return {};
    },
  );
  api.post(
    '/v1/images/import',
    {
      schema: {
        description: 'Imports uploaded files as a version of an image. Answers with a job.',
        body: z.object({
          name: z.string().max(256),
          version: z.string().max(256),
          channel: z.string().max(64).optional(),
          disk: digest,
          kernel: digest.optional(),
          initrd: digest.optional(),
          commandLine: z.string().max(2048).optional(),
          firmware: z.enum(['bios', 'uefi']).optional(),
          devices: z.enum(['virtio', 'sata']).optional(),
          seed: z.enum(['nocloud', 'none']).default('nocloud'),
          sshUser: z.string().max(32).optional(),
          sshPrivateKey: z.string().max(65_536).optional(),
          webServer: z.enum(['nginx', 'busybox-httpd', 'none']).optional(),
          architecture: z.enum(['x86_64', 'aarch64']).optional(),
        }),
        response: { 202: job },
      },
    },
    async ({ body }, reply) => reply.code(202).send({ job: catalogue.import(body) }),
  );
  api.post(
    '/v1/images/build',
    {
      schema: {
        description: 'Builds an image from a recipe. Answers with a job.',
        body: z.object({
          recipe: z.string().max(64),
          name: z.string().max(256).optional(),
          version: z.string().max(256).optional(),
          channel: z.string().max(64).optional(),
        }),
        response: { 202: job },
      },
    },
    async ({ body }, reply) => reply.code(202).send({ job: catalogue.build(body) }),
  );
}
