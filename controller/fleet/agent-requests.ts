import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import { readText } from '../../agent/kit/read-text.ts';
import { type Goal, joinRequest, renewRequest } from '../../agent/protocol/index.ts';
import { sendBlob } from './blob-response.ts';
import { certificateForHost } from './certificates.ts';
import { hostOf } from './host-identity.ts';
import { certify, join } from './join.ts';
import type { FleetServerOptions } from './options.ts';
import { secretsForHost } from './vm-secrets.ts';

const MAXIMUM_BODY_BYTES = 64 * 1024;

interface RequestOptions extends FleetServerOptions {
  /** The newest goal of a host; null: none yet. */
  readonly goalOf: (host: string) => Goal | null;
}

/** Answers one plain request of an agent: join, renewal, a blob, keys, certificates. @param onJoined told before a host that joined is answered. */
export async function answerAgent(
  options: RequestOptions,
  request: IncomingMessage,
  response: ServerResponse,
  onJoined: (host: string) => void,
): Promise<void> {
  try {
    await route(options, request, response, onJoined);
  } catch (thrown) {
    const error = WeftError.from(thrown);
    if (error.code === 'internal') options.log.error({ err: thrown }, 'a host’s request failed');
    if (response.headersSent) response.destroy();
    else sendJson(response, ERROR_CODES[error.code].http, error.toDocument());
  }
}

async function route(
  options: RequestOptions,
  request: IncomingMessage,
  response: ServerResponse,
  onJoined: (host: string) => void,
): Promise<void> {
  const { store, secrets, blobs, clock } = options;
  const url = new URL(request.url ?? '/', 'https://controller');
  const asked = `${request.method} ${url.pathname}`;
  if (asked === 'POST /agent/v1/join') {
    const body = joinRequest.safeParse(await readJson(request));
    if (!body.success) throw new WeftError('bad-request', 'this is no join request');
    const answer = await join(options, body.data);
    onJoined(body.data.hostName);
    return sendJson(response, 200, answer);
  }
  const host = await hostOf(request.socket as TLSSocket, store);
  if (asked === 'POST /agent/v1/renew') {
    const body = renewRequest.safeParse(await readJson(request));
    if (!body.success) throw new WeftError('bad-request', 'this is no renewal request');
    return sendJson(response, 200, await certify(options, body.data.csr, host.name, clock.now()));
  }
  const blob = /^GET \/agent\/v1\/blobs\/(.+)$/.exec(asked)?.[1];
  if (blob !== undefined) return sendBlob(blobs, decodeURIComponent(blob), request, response);
  const certificate = /^GET \/agent\/v1\/certificates\/([a-z0-9-]{1,64})$/.exec(asked)?.[1];
  if (certificate !== undefined) {
    const asks = { host: host.name, name: certificate, digest: url.searchParams.get('digest') };
    const goal = options.goalOf(host.name);
    return sendJson(response, 200, await certificateForHost(goal, options.certificates, asks));
  }
  const vmId = /^GET \/agent\/v1\/vms\/([^/]+\/[^/]+)\/secrets$/.exec(asked)?.[1];
  if (vmId === undefined) throw new WeftError('not-found', `there is no ${asked}`);
  const incarnation = Number(url.searchParams.get('incarnation'));
  sendJson(response, 200, await secretsForHost(store, secrets, { host: host.name, vmId, incarnation }));
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request, MAXIMUM_BODY_BYTES);
  try {
    return JSON.parse(text);
  } catch {
    throw new WeftError('bad-request', 'the request is no JSON');
  }
}
