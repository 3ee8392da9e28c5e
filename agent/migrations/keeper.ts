import type { Duplex } from 'node:stream';
import type { DiskCopies } from '../disks/disk-copies.ts';
import type { HypervisorDriver } from '../hypervisor/driver.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { Passes } from '../kit/passes.ts';
import type { Goal, MigrationChannel, MigrationReport, MigrationWay } from '../protocol/index.ts';
import type { Arrivals } from './arrivals.ts';
import type { Departures } from './departures.ts';
import { MeasuredDisks } from './measured-disks.ts';

/** How often what goes on is looked at, although libvirt tells nothing. */
const LOOK_EVERY_MS = 1_000;

export interface MigrationKeeperOptions {
  readonly driver: Pick<HypervisorDriver, 'listDomains' | 'onEvent'>;
  /** @param changed to be called when something has changed. */
  readonly departures: (changed: () => void) => Departures;
  readonly arrivals: (changed: () => void) => Arrivals;
  readonly copies: Pick<DiskCopies, 'measure'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is reported has changed. */
  readonly onChange: () => void;
}

/** Does what the newest goal says of hand-overs, beside the queues of the VMs. All of it is found out anew from what libvirt has. */
export class MigrationKeeper {
  readonly #options: MigrationKeeperOptions;
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  readonly #measured: MeasuredDisks;
  readonly #stopListening: () => void;
  readonly #passes = new Passes(
    () => this.#look(),
    () => this.#closed,
  );
  #timer: Timer | null = null;
  #told = '';
  #closed = false;

  constructor(options: MigrationKeeperOptions) {
    this.#options = options;
    this.#departures = options.departures(() => this.#passes.wake());
    this.#arrivals = options.arrivals(() => this.#passes.wake());
    this.#measured = new MeasuredDisks(options.copies, () => this.#passes.wake());
    this.#stopListening = options.driver.onEvent(() => this.#passes.wake());
  }

  follow(goal: Goal): void {
    this.#departures.follow(goal);
    this.#arrivals.follow(goal);
    this.#measured.follow(goal);
    this.#passes.wake();
  }

  report(): MigrationReport[] {
    return [...this.#departures.report(), ...this.#arrivals.report(), ...this.#measured.report()];
  }

  connect(
    vmId: string,
    incarnation: number,
    channel: MigrationChannel,
    way: MigrationWay = 'relayed',
  ): Promise<Duplex> {
    return this.#arrivals.connect(vmId, incarnation, channel, way);
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
    this.#timer?.cancel();
    this.#arrivals.close();
  }

  async #look(): Promise<void> {
    const { driver, clock, log, onChange } = this.#options;
    this.#timer?.cancel();
    this.#timer = null;
    if (!this.#departures.isEmpty || !this.#arrivals.isEmpty) {
      try {
        const domains = await driver.listDomains();
        // Who waits for an arrival waits for this first.
        await this.#arrivals.look(domains);
        await this.#departures.look(domains);
      } catch (error) {
        log.warn({ err: error }, 'could not look at what is handed over; trying again');
      }
      if (!this.#closed) this.#timer = clock.after(LOOK_EVERY_MS, () => this.#passes.wake());
    }
    const told = JSON.stringify(this.report());
    if (told === this.#told) return;
    this.#told = told;
    onChange();
  }
}
