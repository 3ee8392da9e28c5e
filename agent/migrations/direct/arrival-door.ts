import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../kit/clock.ts';
import { ERROR_CODES, WeftError } from '../../kit/errors.ts';
import { joinStreams } from '../../kit/join-streams.ts';
import type { Logger } from '../../kit/log.ts';
import {
  BYTES_BEGUN,
  BYTES_UPGRADE,
  type MigrationChannel,
  type MigrationDoor,
  parseMigrationPath,
} from '../../protocol/index.ts';
import { keyOf } from '../key.ts';
import { type ExpectedHost, whyNotHost } from './host-certificate.ts';
import { addressToListenOn, type ListenSetting } from './listen-setting.ts';
import { LINE_TLS, type LineIdentity } from './tls.ts';

export interface ArrivalDoorOptions {
  /** Null: what comes, comes through the controller. */
  readonly listen: ListenSetting | null;
  /** Of this host's end of its connection to the controller; null: it has none. */
  readonly ownAddress: () => string | null;
  readonly identity: () => LineIdentity;
  /** The near end of one connection. @throws WeftError when it is not to be had now. */
  readonly connect: (vmId: string, incarnation: number, channel: MigrationChannel) => Promise<Duplex>;
  /** Whoever has not shown within this time that it is expected is sent away, ms. */
  readonly greetingMs?: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
}

interface HandOver {
  readonly id: string;
  readonly incarnation: number;
}

const GREETING_MS = 10_000;
const CHECK_EVERY_MS = 1_000;
/** More than two for each machine of as many as come at once. Whoever finds it full goes by the controller. */
const MOST_CONNECTIONS = 64;
const MOST_HEADER_BYTES = 4_096;

/**
 * Where machines come in straight from other hosts. It listens only while one is expected, lets in nobody but the very hosts that the
 * goal says they come from, each for its own machine, and hands their bytes on to where the controller's would go.
 */
export class ArrivalDoor {
  readonly #options: ArrivalDoorOptions;
  readonly #expected = new Map<string, ExpectedHost>();
  readonly #carried = new Set<Duplex>();
  #opening: Promise<Server | null> | null = null;

  constructor(options: ArrivalDoorOptions) {
    this.#options = options;
  }

  /** From now on this host may come in with this machine. @returns where; null: nowhere, it has to come through the controller. */
  async open(handOver: HandOver, host: ExpectedHost): Promise<MigrationDoor | null> {
    this.#expected.set(keyOf(handOver), host);
    this.#opening ??= this.#listen().catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'machines come through the controller: nothing can listen here');
      return null;
    });
    const server = await this.#opening;
    const bound = server?.address() as AddressInfo | null | undefined;
    return bound ? { address: bound.address, port: bound.port } : null;
  }

  /** It is expected no more. What is on its way goes on until its other end ends it, as it does through the controller. */
  shut(handOver: HandOver): void {
    this.#expected.delete(keyOf(handOver));
    if (this.#expected.size === 0) this.#stopListening();
  }

  close(): void {
    this.#expected.clear();
    this.#stopListening();
    for (const socket of this.#carried) socket.destroy();
  }

  #stopListening(): void {
    const opening = this.#opening;
    this.#opening = null;
    void opening?.then((server) => {
      server?.close();
      server?.closeAllConnections();
    });
  }

  async #listen(): Promise<Server | null> {
    const { listen, ownAddress, log } = this.#options;
    const address = listen && addressToListenOn(listen, ownAddress());
    if (!listen || address === null) return null;
    const { first, last } = listen.ports;
    for (let port = first; port <= last; port++) {
      const server = this.#server();
      const error = await listening(server, port, address);
      if (error === null) return server;
      if (error.code === 'EADDRINUSE') continue;
      log.warn(
        { err: error, address, port },
        'machines come through the controller: nothing can listen here',
      );
      return null;
    }
    log.warn({ address, first, last }, 'machines come through the controller: all ports are taken');
    return null;
  }

  #server(): Server {
    const { greetingMs = GREETING_MS, identity } = this.#options;
    const { ca, certificate, key } = identity();
    const server = createServer({
      ...{ ca, cert: certificate, key, requestCert: true, rejectUnauthorized: true },
      // Whoever has said all is still answered.
      allowHalfOpen: true,
      ...{
        ...LINE_TLS,
        handshakeTimeout: greetingMs,
        headersTimeout: greetingMs,
        requestTimeout: greetingMs,
      },
      ...{ connectionsCheckingInterval: CHECK_EVERY_MS, maxHeaderSize: MOST_HEADER_BYTES, noDelay: true },
    });
    server.maxConnections = MOST_CONNECTIONS;
    server.on('request', (_request, response) => {
      response.writeHead(404, { connection: 'close' }).end();
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => undefined);
      void this.#letIn(request, socket as Socket, head);
    });
    return server;
  }

  async #letIn(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { connect, log } = this.#options;
    try {
      const wanted = this.#wanted(request);
      const near = await connect(wanted.vmId, wanted.incarnation, wanted.channel);
      near.on('error', () => undefined);
      for (const end of [near, socket]) this.#keep(end);
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      socket.write(BYTES_BEGUN);
      joinStreams(near, socket);
    } catch (thrown) {
      const { code, message } = WeftError.from(thrown);
      log.warn({ from: socket.remoteAddress, reason: message }, 'a connection of a migration was refused');
      socket.end(`HTTP/1.1 ${ERROR_CODES[code].http} Refused\r\nconnection: close\r\n\r\n${message}`);
      // Whoever has been refused has nothing more to say here.
      socket.resume();
      socket.setTimeout(CHECK_EVERY_MS, () => socket.destroy());
    }
  }

  /** @throws WeftError `not-found`, `forbidden`. */
  #wanted(request: IncomingMessage): NonNullable<ReturnType<typeof parseMigrationPath>> {
    const { identity, clock } = this.#options;
    const wanted = request.headers.upgrade === BYTES_UPGRADE ? parseMigrationPath(request.url ?? '') : null;
    if (!wanted) throw new WeftError('not-found', 'nothing else is to be had here');
    const host = this.#expected.get(keyOf({ id: wanted.vmId, incarnation: wanted.incarnation }));
    const certificate = (request.socket as TLSSocket).getPeerX509Certificate();
    const why = host ? whyNotHost(certificate, identity().ca, host, clock.now()) : 'it is not expected here';
    if (why !== null) throw new WeftError('forbidden', why);
    return wanted;
  }

  #keep(end: Duplex): void {
    this.#carried.add(end);
    end.once('close', () => this.#carried.delete(end));
  }
}

const listening = (server: Server, port: number, address: string): Promise<NodeJS.ErrnoException | null> =>
  new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ port, host: address, exclusive: true }, () => {
      server.off('error', resolve);
      server.on('error', () => undefined);
      resolve(null);
    });
  });
