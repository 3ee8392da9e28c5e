import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import {
  BYTES_UPGRADE,
  type Goal,
  MAXIMUM_FRAME_BYTES,
  type OpenStream,
  REMOVED_HEADER,
} from '../../agent/protocol/index.ts';
import { answerAgent } from './agent-requests.ts';
import { ConnectedHosts } from './connected-hosts.ts';
import type { Fleet, FleetEvent, HostLink } from './contract.ts';
import { hostOf } from './host-identity.ts';
import { MigrationRelay } from './migration-relay.ts';
import type { FleetServerOptions } from './options.ts';
import { PendingStreams } from './pending-streams.ts';

/** The agents' port: join, sessions, blobs, keys and streams. The paths are those of `agent/protocol/rest.ts`. */
export class FleetServer implements Fleet {
  readonly #options: FleetServerOptions;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #hosts: ConnectedHosts;
  readonly #streams: PendingStreams;
  readonly #relay: MigrationRelay;

  constructor(options: FleetServerOptions) {
    this.#options = options;
    this.#hosts = new ConnectedHosts(options);
    const { store, clock } = options;
    this.#relay = new MigrationRelay({
      ...{ store, clock },
      ask: (host, request) => this.#hosts.session(host).send({ type: 'open-stream', ...request }),
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
      (request, response) =>
        void answerAgent(
          { ...options, goalOf: (host) => this.#hosts.goal(host) },
          request,
          response,
          (host) => this.#hosts.end(host, 'this host has joined anew'),
        ),
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
    this.#hosts.endAll('the controller stops');
    this.#sockets.close();
    this.#relay.close();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  hosts(): readonly HostLink[] {
    return this.#hosts.links();
  }

  sendGoal(name: string, goal: Goal): void {
    this.#hosts.setGoal(name, goal);
  }

  async openStream(name: string, vmId: string, target: OpenStream['target']): Promise<Duplex> {
    const session = await this.#hosts.sessionSoon(name);
    return this.#streams.expect(name, (streamId) =>
      session.send({ type: 'open-stream', streamId, vmId, target }),
    );
  }

  examine(name: string, options: { repair: boolean; digests: boolean }): string {
    const session = this.#hosts.session(name);
    if (!this.#hosts.link(name)?.hello?.capabilities.includes('doctor'))
      throw new WeftError('not-supported', `the agent of ${name} is too old to be asked`, {
        remedy: 'Bring it to the version of the controller.',
      });
    const requestId = randomUUID();
    session.send({ type: 'examine', requestId, ...options });
    return requestId;
  }

  mintJoinToken(options: { label: string; ttlMs: number }): Promise<string> {
    const { address, authority, tokens, clock } = this.#options;
    return tokens.mintJoin(
      { ...options, controller: address, caFingerprint: authority.fingerprint },
      clock.now(),
    );
  }

  onEvent(listener: (event: FleetEvent) => void): () => void {
    return this.#hosts.onEvent(listener);
  }

  async forget(name: string): Promise<void> {
    await this.#options.store.transact({ deletes: [`hosts/${name}`] });
    this.#hosts.end(name, 'this host was removed from the fleet');
    this.#hosts.forget(name);
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
        if (streamId === undefined) this.#hosts.begin(name, webSocket);
        else if (!this.#streams.arrived(streamId, name, webSocket))
          webSocket.close(1008, 'nobody asked for this');
      });
    } catch (thrown) {
      const { code, message, details } = WeftError.from(thrown);
      const removed = details?.removed === true ? `${REMOVED_HEADER}: true\r\n` : '';
      socket.end(
        `HTTP/1.1 ${ERROR_CODES[code].http} Refused\r\n${removed}connection: close\r\n\r\n${message}`,
      );
    }
  }
}
