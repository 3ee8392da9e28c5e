import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock } from '../kit/clock.ts';
import { Daemon } from '../kit/daemon.ts';
import { WeftError } from '../kit/errors.ts';
import { Restarts } from '../kit/restarts.ts';
import { composeRadvdConfiguration, radvdServer } from './radvd-configuration.ts';
import type { Subnet6 } from './subnets6.ts';

export interface RouterAdvertisementsOptions {
  /** Of nothing else. */
  readonly folder: string;
  readonly clock: Clock;
  readonly isInstalled: () => Promise<boolean>;
}

/** A radvd of our own, which outlives the agent: guests keep their way out. Where there are no subnets, there is none. */
export class RouterAdvertisements {
  readonly #options: RouterAdvertisementsOptions;
  readonly #file: string;
  readonly #log: string;
  readonly #daemon: Daemon;
  readonly #restarts = new Restarts();
  /** What it was last told to read. Null: that is not known, and it is told anew, by which nothing is lost. */
  #loaded: string | null = null;

  constructor(options: RouterAdvertisementsOptions) {
    this.#options = options;
    const server = radvdServer(options.folder);
    this.#file = server.mark;
    this.#log = join(options.folder, 'radvd.log');
    this.#daemon = new Daemon({
      server,
      arguments: [
        ...['--nodaemon', '--config', this.#file, '--pidfile', join(options.folder, 'radvd.pid')],
        ...['--logmethod', 'stderr', '--username', 'radvd'],
      ],
      log: this.#log,
      // The next look starts another one.
      onExit: () => undefined,
    });
  }

  /**
   * Makes it run with exactly these.
   * @returns whether it did not.
   * @throws WeftError `not-supported` where it is not installed, `command-failed` when it ends again and again.
   */
  async keep(subnets: readonly Subnet6[]): Promise<boolean> {
    const isChanged = await this.#align(subnets);
    if (subnets.length > 0 && this.#restarts.keepsEnding(this.#options.clock.now())) throw this.#endsAgain();
    return isChanged;
  }

  async #align(subnets: readonly Subnet6[]): Promise<boolean> {
    const { isRunning } = this.#daemon;
    if (subnets.length === 0) {
      this.#loaded = null;
      this.#restarts.toldToEnd();
      // It says that it is no router any more, and ends.
      return isRunning && this.#daemon.signal('SIGTERM');
    }
    const text = composeRadvdConfiguration(subnets);
    if (!isRunning) return this.#start(text);
    // Guests make it say much.
    this.#daemon.trimLog();
    if (text === this.#loaded) return false;
    const isOther = text !== (await readFile(this.#file, 'utf8').catch(() => null));
    await this.#write(text);
    if (this.#daemon.signal('SIGHUP')) this.#loaded = text;
    return isOther;
  }

  async #start(text: string): Promise<boolean> {
    this.#loaded = null;
    const nowMs = this.#options.clock.now();
    if (!this.#restarts.mayStart(nowMs)) throw this.#endsAgain();
    if (!(await this.#options.isInstalled()))
      throw new WeftError('not-supported', 'this host has no radvd', {
        remedy: 'install it (Debian: radvd), and the agent begins to use it',
      });
    await this.#write(text);
    this.#restarts.started(nowMs);
    this.#daemon.start();
    this.#loaded = text;
    return true;
  }

  #endsAgain(): WeftError {
    return new WeftError('command-failed', `radvd ends again and again: see ${this.#log} there`);
  }

  /** It reads its configuration as another user, who has no other files here. */
  async #write(text: string): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true });
    await chmod(this.#options.folder, 0o755);
    await writeFileAtomic(this.#file, text, 0o644);
  }
}
