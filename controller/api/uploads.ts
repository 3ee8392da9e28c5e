import type { Readable } from 'node:stream';
import { z } from 'zod';
import { inspectPackage } from '../../images/archive/package-archive.ts';
import type { ApiContext } from './context.ts';
import { digest } from './schemas.ts';
import type { Api } from './server.ts';

const MAXIMUM_UPLOAD_BYTES = 256 * 1024 ** 3;
const MAXIMUM_PACKAGE_BYTES = 8 * 1024 ** 3;

/** Bytes in: image files and packages. They are streamed to the blob store, never held in memory. */
export function uploadRoutes(parent: Api, context: ApiContext): void {
  void parent.register(async (scope) => {
    const api = scope as unknown as Api;
    const { blobs } = context;
    api.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
    api.put(
      '/v1/uploads',
      {
        bodyLimit: MAXIMUM_UPLOAD_BYTES,
        schema: {
          description:
            'Takes a file of an image in (application/octet-stream); one of another digest than was given is refused.',
          querystring: z.object({ digest: digest.optional() }),
          response: { 200: z.object({ digest, sizeBytes: z.number() }) },
        },
      },
      async ({ body, query }) =>
        blobs.put(body as Readable, {
          maximumBytes: MAXIMUM_UPLOAD_BYTES,
          ...(query.digest === undefined ? {} : { expected: query.digest }),
        }),
    );
    api.put(
      '/v1/packages',
      {
        bodyLimit: MAXIMUM_PACKAGE_BYTES,
        schema: {
          description: 'Takes a package (tar.gz) in and looks at it before it is used.',
          response: { 200: z.object({ digest, sizeBytes: z.number(), folders: z.array(z.string()) }) },
        },
      },
      async ({ body }) => {
        let folders: readonly string[] = [];
        const blob = await blobs.put(body as Readable, {
          maximumBytes: MAXIMUM_PACKAGE_BYTES,
          accept: async (file) => {
            ({ folders } = await inspectPackage(file));
          },
        });
        return { ...blob, folders: [...folders] };
      },
    );
  });
}
