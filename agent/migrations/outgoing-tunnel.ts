import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WeftError } from '../kit/errors.ts';
import { joinStreams } from '../kit/join-streams.ts';
import { MIGRATION_CHANNELS, type MigrationChannel } from '../protocol/index.ts';
import type { GuestOwner, MigrationSockets } from './sockets.ts';

export interface TunnelEnd {
  /** libvirt's name of it. */
  readonly domain: string;
  readonly incarnation: number;
  /** A connection to the same channel on the other host. */
  readonly dial: (channel: MigrationChannel) => Promise<Duplex>;
  /** Why a connection could not be had. */
  readonly onFailed: (error: WeftError) => void;
}

/** The sockets that libvirt and QEMU of this host connect to for one migration; each connection goes on to the other host. */
export class OutgoingTunnel {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Duplex>();
  #closed = false;

  static async open(sockets: MigrationSockets, owner: GuestOwner, end: TunnelEnd): Promise<OutgoingTunnel> {
    const tunnel = new OutgoingTunnel();
    await sockets.prepare(owner);
    try {
      for (const channel of MIGRATION_CHANNELS) {
        const path = sockets.path(end.domain, end.incarnation, channel);
        await rm(path, { force: true });
        await tunnel.#listen(path, (socket) => tunnel.#carry(socket, channel, end));
        await sockets.give(path, owner);
      }
    } catch (error) {
      tunnel.close();
      throw error;
    }
    return tunnel;
  }

  close(): void {
    this.#closed = true;
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #listen(path: string, onConnection: (socket: Socket) => void): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onConnection);
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        server.on('error', () => undefined);
        resolve();
      });
    });
  }

  #carry(socket: Socket, channel: MigrationChannel, { dial, onFailed }: TunnelEnd): void {
    this.#keep(socket);
    dial(channel).then(
      (line) => {
        this.#keep(line);
        if (this.#closed || socket.destroyed) line.destroy();
        else joinStreams(socket, line);
      },
      (error: unknown) => {
        onFailed(WeftError.from(error));
        socket.destroy();
      },
    );
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
