import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { joinStreams } from '../../agent/kit/join-streams.ts';
import {
  BYTES_BEGUN,
  type MigrationChannel,
  type OpenStream,
  parseMigrationPath,
} from '../../agent/protocol/index.ts';
import type { VmRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';

const TARGET = /^\/agent\/v1\/streams\/([0-9a-f-]{36})$/;
const DIAL_LIMIT_MS = 15_000;

export interface MigrationRelayOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Asks a host's agent to dial `/agent/v1/streams/{streamId}`. @throws WeftError `host-unreachable`. */
  readonly ask: (host: string, request: Omit<OpenStream, 'type'>) => void;
}

interface Waiting {
  readonly host: string;
  readonly source: Duplex;
  readonly timer: Timer;
}

/**
 * Carries the bytes of migrations between agents that need not reach each other. Nothing passes for a machine whose record does not
 * say, at that moment, that it is being handed over by this host at this incarnation: a goal of yesterday moves nothing.
 */
export class MigrationRelay {
  readonly #options: MigrationRelayOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #sockets = new Set<Duplex>();

  constructor(options: MigrationRelayOptions) {
    this.#options = options;
  }

  /** @param host whose certificate the connection has. @throws WeftError `not-found`, `forbidden`, `host-unreachable`. */
  async accept(host: string, path: string, socket: Duplex, head: Buffer): Promise<void> {
    const streamId = TARGET.exec(path)?.[1];
    if (streamId !== undefined) return this.#arrived(host, streamId, socket, head);
    const wanted = parseMigrationPath(path);
    if (!wanted) throw new WeftError('not-found', `there is no ${path}`);
    await this.#asked(host, wanted, socket, head);
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) timer.cancel();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #asked(
    host: string,
    wanted: { vmId: string; incarnation: number; channel: MigrationChannel },
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const { store, clock, ask } = this.#options;
    const record = (await store.get(`vms/${wanted.vmId}`))?.value as VmRecord | undefined;
    const next = record?.successor;
    if (record?.host !== host || next?.incarnation !== wanted.incarnation || next.live?.state !== 'moving')
      throw new WeftError('forbidden', `${wanted.vmId} is not being handed over by ${host}`);
    if (head.length > 0) socket.unshift(head);
    this.#keep(socket);
    const streamId = randomUUID();
    const timer = clock.after(DIAL_LIMIT_MS, () => {
      this.#waiting.delete(streamId);
      refuse(socket, `host ${next.host} did not open the connection within ${DIAL_LIMIT_MS} ms`);
    });
    this.#waiting.set(streamId, { host: next.host, source: socket, timer });
    try {
      const { vmId, incarnation, channel } = wanted;
      ask(next.host, { streamId, vmId, target: { kind: 'migration', incarnation, channel } });
    } catch (error) {
      this.#waiting.delete(streamId);
      timer.cancel();
      throw error;
    }
  }

  #arrived(host: string, streamId: string, socket: Duplex, head: Buffer): void {
    const waiting = this.#waiting.get(streamId);
    if (waiting?.host !== host) throw new WeftError('not-found', 'nobody asked for this');
    this.#waiting.delete(streamId);
    waiting.timer.cancel();
    if (head.length > 0) socket.unshift(head);
    this.#keep(socket);
    const { source } = waiting;
    source.write(BYTES_BEGUN);
    socket.write(BYTES_BEGUN);
    joinStreams(source, socket);
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    if ('setNoDelay' in socket) (socket as Duplex & { setNoDelay(on: boolean): void }).setNoDelay(true);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

const refuse = (socket: Duplex, message: string) =>
  socket.end(`HTTP/1.1 503 Refused\r\nconnection: close\r\n\r\n${message}`);
