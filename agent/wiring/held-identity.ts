import type { Identity, IdentityFolder } from '../session/identity.ts';

/** Who this host is now: its certificate is renewed, and its epoch grows, while it runs. */
export class HeldIdentity {
  readonly #folder: IdentityFolder;
  #current: Identity;

  constructor(folder: IdentityFolder, current: Identity) {
    this.#folder = folder;
    this.#current = current;
  }

  get current(): Identity {
    return this.#current;
  }

  /** A newer epoch is kept, and an older one is not gone back to. */
  obey(epoch: number): void {
    if (epoch <= this.#current.epoch) return;
    this.#current = { ...this.#current, epoch };
    void this.#folder.write(this.#current);
  }

  async renewed(identity: Identity): Promise<void> {
    this.#current = identity;
    await this.#folder.write(identity);
  }
}
