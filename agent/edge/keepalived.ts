import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import type { Clock } from '../kit/clock.ts';
import { Daemon } from '../kit/daemon.ts';
import { exec } from '../kit/exec.ts';
import { Restarts } from '../kit/restarts.ts';
import type { SharedAddress } from '../protocol/index.ts';
import { composeKeepalivedConfiguration, type OwnLink } from './keepalived-configuration.ts';
import { PlacedAddresses, placedBy } from './placed-addresses.ts';
import { edgeServers } from './servers.ts';

const LIMIT_MS = 10_000;
const NOT_THERE = 2;

export interface KeepalivedOptions {
  /** Ours alone. */
  readonly folder: string;
  readonly clock: Clock;
  /** This host's address on the underlay; null: not known yet. */
  readonly ownAddress: () => string | null;
  readonly onExit: () => void;
}

/** Which of the shared addresses this host has: agreed upon with the other edge hosts by VRRP. */
export class Keepalived {
  readonly #options: KeepalivedOptions;
  readonly #file: string;
  readonly #daemon: Daemon;
  readonly #restarts = new Restarts();
  readonly #placed: PlacedAddresses;
  /** What was loaded is all that is on this host. */
  #isSettled = false;
  /** What it was last told to read. Null: that is not known, and it is told anew, which it takes without giving an address up. */
  #loaded: string | null = null;

  constructor(options: KeepalivedOptions) {
    this.#options = options;
    const { folder, onExit } = options;
    const { keepalived: server } = edgeServers(folder);
    this.#file = server.mark;
    this.#placed = new PlacedAddresses(folder);
    this.#daemon = new Daemon({
      server,
      arguments: [
        ...['--dont-fork', '--log-console', '--vrrp', '--use-file', this.#file],
        ...['--pid', join(folder, 'keepalived.pid'), '--vrrp_pid', join(folder, 'vrrp.pid')],
      ],
      log: join(folder, 'keepalived.log'),
      onExit,
    });
  }

  get isRunning(): boolean {
    return this.#daemon.isRunning;
  }

  async keep(addresses: readonly SharedAddress[]): Promise<void> {
    this.#daemon.trimLog();
    const link = linkOf(this.#options.ownAddress());
    if (link === null && addresses.length > 0) return;
    const { isRunning } = this;
    if (addresses.length === 0 || link === null) {
      this.#loaded = null;
      this.#restarts.toldToEnd();
      if (isRunning) this.#daemon.signal('SIGTERM');
      else await this.#giveUp();
      return;
    }
    const text = composeKeepalivedConfiguration(addresses, link);
    if (isRunning) {
      if (text === this.#loaded) return this.#settle(text);
      await this.#write(text);
      if (this.#daemon.signal('SIGHUP')) this.#loaded = text;
      return;
    }
    this.#loaded = null;
    const nowMs = this.#options.clock.now();
    if (!this.#restarts.mayStart(nowMs)) return;
    // One that was killed has left its addresses here, and another host has them by now.
    await this.#giveUp();
    await this.#write(text);
    this.#restarts.started(nowMs);
    this.#daemon.start();
    this.#loaded = text;
  }

  /** Whoever ends between two of these steps has the addresses of both configurations removed later on. */
  async #write(text: string): Promise<void> {
    this.#isSettled = false;
    await this.#placed.expect(text);
    await writeFileAtomic(this.#file, text, 0o600);
  }

  /** It was told a while ago: once nothing else is there, nothing else is kept in mind, for it may be somebody else's later on. */
  async #settle(text: string): Promise<void> {
    if (this.#isSettled) return;
    const wanted = new Set(placedBy(text).map(({ address }) => address));
    const here = addressesHere();
    const left = (await this.#placed.list()).filter(
      ({ address }) => !wanted.has(address) && here.has(address),
    );
    if (left.length > 0) return;
    await this.#placed.settle(text);
    this.#isSettled = true;
  }

  /** Removes what keepalived has put on this host; it is nobody's while no process of ours runs. */
  async #giveUp(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(() => '');
    const own = this.#options.ownAddress();
    for (const { address, cidr, link } of [...placedBy(text), ...(await this.#placed.list())])
      if (address !== own && addressesHere().has(address))
        await exec('ip', ['address', 'delete', cidr, 'dev', link], {
          timeoutMs: LIMIT_MS,
          okExitCodes: [0, NOT_THERE],
        });
    await this.#placed.forget();
  }
}

export const addressesHere = (): ReadonlySet<string> =>
  new Set(Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)));

function linkOf(own: string | null): OwnLink | null {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const found = addresses?.find(({ address }) => address === own);
    if (!found) continue;
    const prefix = Number(found.cidr?.split('/')[1]);
    return { address: found.address, interface: name, ...(prefix > 0 ? { prefix } : {}) };
  }
  return null;
}
