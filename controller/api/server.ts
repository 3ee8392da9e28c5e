import swagger from '@fastify/swagger';
import websocket from '@fastify/websocket';
import fastify, { type FastifyInstance } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import { PROTOCOL_VERSION } from '../../agent/protocol/index.ts';
import { issueText } from '../model/issue-text.ts';
import { applicationRoutes } from './applications.ts';
import { backupRoutes } from './backups.ts';
import { certificateRoutes } from './certificates.ts';
import { challengeRoutes } from './challenges.ts';
import type { ApiContext } from './context.ts';
import { dossierRoutes } from './dossier.ts';
import { eventRoutes } from './events.ts';
import { hostRoutes } from './hosts.ts';
import { imageRoutes } from './images.ts';
import { jobRoutes } from './jobs.ts';
import { metricsRoutes } from './metrics.ts';
import { networkRoutes } from './network.ts';
import { pictureRoutes } from './pictures.ts';
import { streamRoutes } from './streams.ts';
import { uploadRoutes } from './uploads.ts';
import { vmRoutes } from './vms.ts';

export type Api = FastifyInstance<
  import('node:https').Server,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  import('fastify').FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Label of the token that the request came with. */
    user: string;
  }
}

const RESOURCES: readonly ((api: Api, context: ApiContext) => void)[] = [
  applicationRoutes,
  networkRoutes,
  certificateRoutes,
  challengeRoutes,
  vmRoutes,
  dossierRoutes,
  pictureRoutes,
  backupRoutes,
  hostRoutes,
  imageRoutes,
  uploadRoutes,
  jobRoutes,
  eventRoutes,
  streamRoutes,
  metricsRoutes,
];

/** Paths that need no token. */
const OPEN = new Set(['/v1/version', '/v1/openapi.json']);
const MAXIMUM_BODY_BYTES = 4 * 1024 * 1024;

/** The users' API: JSON over HTTPS with a bearer token. Not listening yet. @param tls null: only to be described, never to be served. */
export async function createApi(
  context: ApiContext,
  tls: { readonly key: string; readonly cert: string } | null,
): Promise<Api> {
  const api = fastify({
    ...(tls ? { https: tls } : {}),
    bodyLimit: MAXIMUM_BODY_BYTES,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  }).withTypeProvider<ZodTypeProvider>() as unknown as Api;
  api.setValidatorCompiler(validatorCompiler);
  api.setSerializerCompiler(serializerCompiler);
  api.setErrorHandler((thrown, _request, reply) => {
    const error = toWeftError(thrown);
    if (error.code === 'internal') context.log.error({ err: thrown }, 'a request failed');
    return reply.code(ERROR_CODES[error.code].http).send(error.toDocument());
  });
  api.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(new WeftError('not-found', `there is no ${request.method} ${request.url}`).toDocument()),
  );
  api.decorateRequest('user', '');
  api.addHook('onRequest', async (request) => {
    if (OPEN.has(request.url.split('?')[0] ?? '')) return;
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const user = token === undefined ? null : await context.tokens.labelOfApi(token, context.clock.now());
    if (user === null)
      throw new WeftError('unauthorized', 'this API needs a token', {
        remedy: 'It is in the client configuration that the controller wrote; see WEFT_CONFIG.',
      });
    request.user = user;
  });
  await api.register(swagger, {
    openapi: {
      info: {
        title: 'Weft',
        version: context.version,
        description: 'The users’ API of the Weft controller.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await api.register(websocket, { options: { maxPayload: 1 << 20, perMessageDeflate: false } });
  await api.register(async (scope) => {
    const typed = scope as unknown as Api;
    typed.get(
      '/v1/version',
      {
        schema: {
          description: 'Versions of the controller and its protocol; needs no token.',
          response: { 200: z.object({ version: z.string(), protocol: z.number(), fleet: z.string() }) },
        },
      },
      async () => ({
        version: context.version,
        protocol: PROTOCOL_VERSION,
        fleet: context.fleetRecord().uuid,
      }),
    );
    for (const routes of RESOURCES) routes(typed, context);
  });
  api.get('/v1/openapi.json', { schema: { hide: true } }, async () => api.swagger());
  return api;
}

function toWeftError(thrown: unknown): WeftError {
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const issues = thrown.validation.map(({ instancePath, keyword, message = '', params }) => {
      const path = instancePath.split('/').filter(Boolean).join('.');
      return `${path || thrown.validationContext || 'body'}: ${issueText({ ...params, code: keyword, message })}`;
    });
    return new WeftError('bad-request', issues.join('; '));
  }
  const { statusCode, message } = thrown as { statusCode?: number; message?: string };
  if (!(thrown instanceof WeftError) && statusCode !== undefined && statusCode < 500)
    return new WeftError(statusCode === 413 ? 'too-large' : 'bad-request', message ?? 'bad request');
  return WeftError.from(thrown);
}
