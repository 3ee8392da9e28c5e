import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { entriesOf } from '../kit/entries.ts';
import type { MigrationChannel } from '../protocol/index.ts';

/** Below libvirt's own: where AppArmor confines guests, their processes may use sockets there, and by such names, and no others. */
const FOLDER = '/run/libvirt/weft';
/** Of `sun_path` in Linux's sockaddr_un, less the byte that ends it. */
const LONGEST_PATH = 107;
const CONNECT_LIMIT_MS = 10_000;

/** Whom the guests' processes belong to. */
export type GuestOwner = { readonly uid: number; readonly gid: number } | null;

/** The unix sockets of hand-overs, in one folder of the guests' processes. They have the same paths on every host, as libvirt wants it. */
export class MigrationSockets {
  readonly #folder: string;

  constructor(folder = FOLDER) {
    this.#folder = folder;
  }

  /** @param domain libvirt's name of it. The form is one that virt-aa-helper lets a guest's process use; a name too long for it is shortened. */
  path(domain: string, incarnation: number, channel: MigrationChannel): string {
    const path = join(this.#folder, `${incarnation}.${channel}.tunnelmigrate.dest.${domain}`);
    if (Buffer.byteLength(path) <= LONGEST_PATH) return path;
    const short = createHash('sha256').update(domain).digest('hex').slice(0, 16);
    return join(this.#folder, `${incarnation}.${channel}.${short}`);
  }

  /** Guests' processes make sockets in it, and connect to those that the agent makes. */
  async prepare(owner: GuestOwner): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await chmod(this.#folder, 0o700);
    if (owner) await chown(this.#folder, owner.uid, owner.gid);
  }

  /** A socket that the agent listens on: for nobody but a guest's process, and root. */
  async listen(
    path: string,
    owner: GuestOwner,
    onConnection: (socket: Duplex) => void,
  ): Promise<{ close(): void }> {
    await rm(path, { force: true });
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onConnection);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        server.on('error', () => undefined);
        resolve();
      });
    });
    try {
      await chmod(path, 0o600);
      if (owner) await chown(path, owner.uid, owner.gid);
    } catch (error) {
      server.close();
      throw error;
    }
    return server;
  }

  /** To whoever listens there, libvirt or a guest's process. */
  connect(path: string): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path, allowHalfOpen: true });
      socket.setTimeout(CONNECT_LIMIT_MS, () => socket.destroy(new Error(`${path} does not answer`)));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.off('error', reject);
        resolve(socket);
      });
    });
  }

  /** What a guest's process has made. */
  async remove(domain: string, incarnation: number): Promise<void> {
    for (const channel of ['memory', 'disk'] as const)
      await rm(this.path(domain, incarnation, channel), { force: true });
  }

  /** What an agent before this one left: what went through it ended with it. */
  async sweep(): Promise<void> {
    for (const { name } of await entriesOf(this.#folder)) await rm(join(this.#folder, name), { force: true });
  }
}
