import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { entriesOf } from '../kit/entries.ts';
import type { MigrationChannel } from '../protocol/index.ts';

/** Short: the path of a unix socket has at most 107 characters. */
export const DEFAULT_MIGRATION_FOLDER = '/run/weft/migrations';

/** Whom the guests' processes belong to. */
export type GuestOwner = { readonly uid: number; readonly gid: number } | null;

/** The unix sockets of hand-overs: a folder for each, below one of our own. They have the same paths on every host, as libvirt wants it. */
export class MigrationSockets {
  readonly #root: string;

  constructor(root = DEFAULT_MIGRATION_FOLDER) {
    this.#root = root;
  }

  path(uuid: string, incarnation: number, channel: MigrationChannel): string {
    return join(this.#folder(uuid, incarnation), `${channel}.sock`);
  }

  /** For sockets that the agent listens on: a guest's process may reach them, and list nothing. */
  async prepareOutgoing(uuid: string, incarnation: number): Promise<void> {
    await this.#make(uuid, incarnation, 0o711);
  }

  /** For a socket that the guest's process makes: the folder is its own. */
  async prepareIncoming(uuid: string, incarnation: number, owner: GuestOwner): Promise<void> {
    const folder = await this.#make(uuid, incarnation, 0o700);
    if (owner) await chown(folder, owner.uid, owner.gid);
  }

  /** A socket that the agent listens on: for nobody but a guest's process, and root. */
  async give(path: string, owner: GuestOwner): Promise<void> {
    await chmod(path, 0o600);
    if (owner) await chown(path, owner.uid, owner.gid);
  }

  async remove(uuid: string, incarnation: number): Promise<void> {
    await rm(this.#folder(uuid, incarnation), { recursive: true, force: true });
  }

  /** What an agent before this one left: what went through it ended with it. */
  async sweep(): Promise<void> {
    for (const { name } of await entriesOf(this.#root))
      await rm(join(this.#root, name), { recursive: true, force: true });
  }

  async #make(uuid: string, incarnation: number, mode: number): Promise<string> {
    const folder = this.#folder(uuid, incarnation);
    await mkdir(folder, { recursive: true });
    // To be walked through by whoever has something below.
    await chmod(dirname(this.#root), 0o711);
    await chmod(this.#root, 0o711);
    await chmod(folder, mode);
    return folder;
  }

  #folder(uuid: string, incarnation: number): string {
    return join(this.#root, `${uuid}-${incarnation}`);
  }
}
