import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../../agent/kit/clock.ts';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import type { Logger } from '../../agent/kit/log.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';
import { readText } from '../../agent/kit/read-text.ts';
import {
  BYTES_UPGRADE,
  type ControllerFrame,
  type Goal,
  type Heartbeat,
  type Hello,
  type JoinResponse,
  joinRequest,
  MAXIMUM_FRAME_BYTES,
  type OpenStream,
  PROTOCOL_VERSION,
  renewRequest,
} from '../../agent/protocol/index.ts';
import type { BlobStore } from '../../images/contract.ts';
import type { FleetRecord, HostRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import { type Authority, fingerprintOf } from './authority.ts';
import { sendBlob } from './blob-response.ts';
import type { Fleet, FleetEvent, HostLink } from './contract.ts';
import { hostOf } from './host-identity.ts';
import { HostSession } from './host-session.ts';
import { keepParts } from './kept-parts.ts';
import type { Leases } from './leases.ts';
import { MigrationRelay } from './migration-relay.ts';
import { PendingStreams } from './pending-streams.ts';
import type { SecretsStore } from './secrets-contract.ts';
import type { Tokens } from './tokens.ts';
import { secretsForHost } from './vm-secrets.ts';

export interface FleetServerOptions {
  readonly fleet: FleetRecord;
  /** `host:port` that hosts dial; goes into join tokens. */
  readonly address: string;
  readonly authority: Authority;
  readonly tls: { readonly key: string; readonly certificate: string };
  readonly tokens: Tokens;
  readonly store: Store;
  readonly secrets: SecretsStore;
  readonly blobs: BlobStore;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
}

const HEARTBEAT_MS = 1_000;
/** What is said to agents that ask for no lease; they make nothing of it. */
const LEASE_MS = 4_000;
const MAXIMUM_BODY_BYTES = 64 * 1024;

interface Host {
  session: HostSession | null;
  goal: Goal | null;
  link: HostLink;
}

/** The agents' port: join, sessions, blobs, keys and streams. The paths are those of `agent/protocol/rest.ts`. */
export class FleetServer implements Fleet {
  readonly #options: FleetServerOptions;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #hosts = new Map<string, Host>();
  readonly #streams: PendingStreams;
  readonly #relay: MigrationRelay;
  readonly #listeners = new Set<(event: FleetEvent) => void>();

  constructor(options: FleetServerOptions) {
    this.#options = options;
    const { store, clock } = options;
    this.#relay = new MigrationRelay({
      ...{ store, clock },
      ask: (host, request) => this.#session(host).send({ type: 'open-stream', ...request }),
    });
    this.#streams = new PendingStreams(options.clock);
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: MAXIMUM_FRAME_BYTES,
      perMessageDeflate: false,
    });
    this.#server = createServer(
      {
        key: options.tls.key,
        cert: options.tls.certificate,
        ca: options.authority.ca,
        requestCert: true,
        // Join comes without a certificate; every other path checks it.
        rejectUnauthorized: false,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  close(): Promise<void> {
    for (const host of this.#hosts.values()) host.session?.end('the controller stops');
    this.#sockets.close();
    this.#relay.close();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  hosts(): readonly HostLink[] {
    return [...this.#hosts.values()].map((host) => host.link);
  }

  sendGoal(name: string, goal: Goal): void {
    const host = this.#host(name);
    host.goal = goal;
    host.session?.sendGoal(goal);
  }

  async openStream(name: string, vmId: string, target: OpenStream['target']): Promise<Duplex> {
    const session = this.#session(name);
    return this.#streams.expect(name, (streamId) =>
      session.send({ type: 'open-stream', streamId, vmId, target }),
    );
  }

  examine(name: string, options: { repair: boolean; digests: boolean }): string {
    const session = this.#session(name);
    if (!this.#hosts.get(name)?.link.hello?.capabilities.includes('doctor'))
      throw new WeftError('not-supported', `the agent of ${name} is too old to be asked`, {
        remedy: 'Bring it to the version of the controller.',
      });
    const requestId = randomUUID();
    session.send({ type: 'examine', requestId, ...options });
    return requestId;
  }

  #session(name: string): HostSession {
    const session = this.#hosts.get(name)?.session;
    if (session) return session;
    throw new WeftError('host-unreachable', `host ${name} is not connected`, {
      remedy: `Look at it with: weft host ls`,
    });
  }

  mintJoinToken(options: { label: string; ttlMs: number }): Promise<string> {
    const { address, authority, tokens, clock } = this.#options;
    return tokens.mintJoin(
      { ...options, controller: address, caFingerprint: authority.fingerprint },
      clock.now(),
    );
  }

  onEvent(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async forget(name: string): Promise<void> {
    await this.#options.store.transact({ deletes: [`hosts/${name}`] });
    this.#hosts.get(name)?.session?.end('this host was removed from the fleet');
    this.#hosts.delete(name);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (thrown) {
      const error = WeftError.from(thrown);
      if (error.code === 'internal') this.#options.log.error({ err: thrown }, 'a host’s request failed');
      if (response.headersSent) response.destroy();
      else sendJson(response, ERROR_CODES[error.code].http, error.toDocument());
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://controller');
    const route = `${request.method} ${url.pathname}`;
    if (route === 'POST /agent/v1/join') {
      const body = joinRequest.safeParse(await readJson(request));
      if (!body.success) throw new WeftError('bad-request', 'this is no join request');
      return sendJson(response, 200, await this.#join(body.data));
    }
    const host = await hostOf(request.socket as TLSSocket, this.#options.store);
    if (route === 'POST /agent/v1/renew') {
      const body = renewRequest.safeParse(await readJson(request));
      if (!body.success) throw new WeftError('bad-request', 'this is no renewal request');
      return sendJson(
        response,
        200,
        await this.#certify(body.data.csr, host.name, this.#options.clock.now()),
      );
    }
    const blob = /^GET \/agent\/v1\/blobs\/(.+)$/.exec(route)?.[1];
    if (blob !== undefined) return sendBlob(this.#options.blobs, decodeURIComponent(blob), request, response);
    const vmId = /^GET \/agent\/v1\/vms\/([^/]+\/[^/]+)\/secrets$/.exec(route)?.[1];
    if (vmId === undefined) throw new WeftError('not-found', `there is no ${route}`);
    const incarnation = Number(url.searchParams.get('incarnation'));
    const { store, secrets } = this.#options;
    sendJson(response, 200, await secretsForHost(store, secrets, { host: host.name, vmId, incarnation }));
  }

  /** The token is used up and the host written down in one transaction: a token joins one host, once. */
  async #join(body: { token: string; hostName: string; csr: string }): Promise<JoinResponse> {
    const { tokens, clock, store, log } = this.#options;
    if (!NAME_PATTERN.test(body.hostName))
      throw new WeftError('bad-request', `${body.hostName} cannot be a host's name: it is no DNS label`);
    const token = await tokens.findJoin(body.token, clock.now());
    // One instant for both: the certificate counts from the join on, however long the signing takes.
    const nowMs = clock.now();
    const response = await this.#certify(body.csr, body.hostName, nowMs);
    const key = `hosts/${body.hostName}`;
    const known = (await store.get(key))?.value as HostRecord | undefined;
    const record: HostRecord = {
      name: body.hostName,
      state: known?.state ?? 'joining',
      evidence: known?.evidence ?? 'it has joined and is not in session yet',
      proof: known?.proof ?? null,
      fencing: known?.fencing ?? null,
      // Said anew in its first session; until then nobody relies on one.
      guard: null,
      downsAtMs: known?.downsAtMs ?? [],
      heldOffUntilMs: known?.heldOffUntilMs ?? null,
      superseded: known?.superseded ?? {},
      draining: known?.draining ?? false,
      drain: known?.drain ?? null,
      mode: known?.mode ?? 'in-service',
      facts: known?.facts ?? null,
      offer: known?.offer ?? null,
      bootId: known?.bootId ?? null,
      joinedAtMs: nowMs,
      stateSinceMs: known?.stateSinceMs ?? nowMs,
      certificateFingerprint: fingerprintOf(response.certificate),
    };
    const result = await store.transact({
      checks: [token],
      puts: [{ key, value: record }],
      deletes: [token.key],
    });
    if (!result.committed)
      throw new WeftError('unauthorized', 'this join token was used in this moment by another host');
    this.#hosts.get(body.hostName)?.session?.end('this host has joined anew');
    log.info({ host: body.hostName }, 'a host joined');
    return response;
  }

  async #certify(csr: string, hostName: string, nowMs: number): Promise<JoinResponse> {
    const { authority, fleet } = this.#options;
    const certificate = await authority.issueHost(csr, hostName, nowMs);
    return { fleet: fleet.uuid, hostName, certificate, ca: authority.ca };
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => undefined);
    try {
      const { name } = await hostOf(request.socket as TLSSocket, this.#options.store);
      const path = new URL(request.url ?? '/', 'https://controller').pathname;
      if (request.headers.upgrade === BYTES_UPGRADE)
        return await this.#relay.accept(name, path, socket, head);
      const streamId = /^\/agent\/v1\/streams\/([0-9a-f-]{36})$/.exec(path)?.[1];
      if (path !== '/agent/v1/session' && streamId === undefined)
        throw new WeftError('not-found', `there is no ${path}`);
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        if (streamId === undefined) this.#begin(name, webSocket);
        else if (!this.#streams.arrived(streamId, name, webSocket))
          webSocket.close(1008, 'nobody asked for this');
      });
    } catch (thrown) {
      const { code, message } = WeftError.from(thrown);
      socket.end(`HTTP/1.1 ${ERROR_CODES[code].http} Refused\r\nconnection: close\r\n\r\n${message}`);
    }
  }

  /** A second session of a host ends the first: the newer one is the living one. */
  #begin(name: string, socket: WebSocket): void {
    const host = this.#host(name);
    host.session?.end('this host has opened another session');
    const session: HostSession = new HostSession({
      host: name,
      socket,
      clock: this.#options.clock,
      log: this.#options.log,
      onHello: (hello) => this.#onHello(name, hello, () => host.session === session),
      onHeartbeat: (heartbeat) =>
        void this.#onHeartbeat(name, heartbeat, () => host.session === session, session),
      onReport: (frame) => {
        const report = keepParts(host.link.report, frame);
        host.link = { ...host.link, report };
        this.#emit({ type: 'report', host: name, report });
      },
      onHeard: () => {
        if (host.session === session) host.link = { ...host.link, lastHeardMs: this.#options.clock.now() };
      },
      onClose: (reason) => {
        if (host.session !== session) return;
        host.session = null;
        host.link = { ...host.link, connected: false, endedBecause: reason };
        this.#emit({ type: 'disconnected', host: name, reason });
      },
    });
    host.session = session;
  }

  async #onHeartbeat(
    name: string,
    { sequence, guard }: Heartbeat,
    isCurrent: () => boolean,
    session: HostSession,
  ): Promise<void> {
    const { leases, log } = this.#options;
    try {
      const leaseMs = await leases.grant(name, guard, isCurrent);
      if (leaseMs !== null) session.send({ type: 'lease', sequence, leaseMs });
    } catch (error) {
      log.warn({ err: error, host: name }, 'a lease could not be granted');
    }
  }

  async #onHello(name: string, hello: Hello, isCurrent: () => boolean): Promise<ControllerFrame | null> {
    const { fleet, clock, leases } = this.#options;
    const refuse = (message: string, remedy: string): ControllerFrame => ({
      type: 'refusal',
      code: 'conflict',
      message,
      remedy,
    });
    if (hello.hostName !== name)
      return refuse(`the certificate is of ${name}, the hello of ${hello.hostName}`, 'Join this host anew.');
    if (Math.abs(hello.protocol - PROTOCOL_VERSION) > 1)
      return refuse(
        `this host speaks protocol ${hello.protocol}, the controller ${PROTOCOL_VERSION}`,
        'Bring both to versions that are at most one protocol apart.',
      );
    // First: whatever it does from now on, nobody relies on a guard that it no longer has.
    const record = await leases.note(name, hello.guard ?? null, isCurrent);
    if (!record) return null;
    const host = this.#host(name);
    host.link = {
      ...host.link,
      connected: true,
      hello,
      report: null,
      lastHeardMs: clock.now(),
      endedBecause: null,
    };
    // After the welcome, which is sent when this returns.
    setImmediate(() => {
      if (!isCurrent()) return;
      if (host.goal) host.session?.sendGoal(host.goal);
      this.#emit({ type: 'connected', host: name, hello });
    });
    return {
      type: 'welcome',
      protocol: Math.min(hello.protocol, PROTOCOL_VERSION),
      fleet: fleet.uuid,
      epoch: fleet.epoch,
      hostName: name,
      leaseMs: LEASE_MS,
      heartbeatMs: HEARTBEAT_MS,
      atMs: clock.now(),
      leases: true,
    };
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name);
    if (known) return known;
    const link = { name, connected: false, lastHeardMs: 0, hello: null, report: null, endedBecause: null };
    const host: Host = { session: null, goal: null, link };
    this.#hosts.set(name, host);
    return host;
  }

  #emit(event: FleetEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
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
