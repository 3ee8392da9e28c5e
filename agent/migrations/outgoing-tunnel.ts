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
  readonly #listening: { close(): void }[] = [];
  readonly #sockets = new Set<Duplex>();
  #closed = false;

  static async open(sockets: MigrationSockets, owner: GuestOwner, end: TunnelEnd): Promise<OutgoingTunnel> {
    const tunnel = new OutgoingTunnel();
    await sockets.prepare(owner);
    try {
      for (const channel of MIGRATION_CHANNELS) {
        const path = sockets.path(end.domain, end.incarnation, channel);
        tunnel.#listening.push(
          await sockets.listen(path, owner, (socket) => tunnel.#carry(socket, channel, end)),
        );
      }
    } catch (error) {
      tunnel.close();
      throw error;
    }
    return tunnel;
  }

  close(): void {
    this.#closed = true;
    for (const each of this.#listening) each.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(socket: Duplex, channel: MigrationChannel, { dial, onFailed }: TunnelEnd): void {
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
