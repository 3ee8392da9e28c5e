import type { Duplex } from 'node:stream';
import type { DiskCopies } from '../disks/disk-copies.ts';
import { diskKeyOf } from '../executor/disk-key.ts';
import { domainName } from '../executor/names.ts';
import type { DomainView, HypervisorDriver } from '../hypervisor/driver.ts';
import type { MigrationDriver } from '../hypervisor/migration-driver.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type {
  Goal,
  MigrationChannel,
  MigrationFiles,
  MigrationReport,
  OutgoingMigration,
  VmGoal,
} from '../protocol/index.ts';
import { type DepartureSeen, nextAct, stateOf } from './decide.ts';
import { guestOf } from './guest-seen.ts';
import { keyOf } from './key.ts';
import { OutgoingTunnel } from './outgoing-tunnel.ts';
import type { MigrationSockets } from './sockets.ts';

export interface DepartureOptions {
  readonly fleet: string;
  readonly driver: Pick<HypervisorDriver, 'unpauseDomain'> & { readonly migrations: MigrationDriver };
  readonly sockets: MigrationSockets;
  /** Where what belongs to a machine lies here. */
  readonly filesOf: (vm: VmGoal, domain: DomainView) => MigrationFiles;
  readonly copies: Pick<DiskCopies, 'noteLeft'>;
  readonly dial: (order: OutgoingMigration, channel: MigrationChannel) => Promise<Duplex>;
  /** What has not gone after this long is given up, as a guest that changes its memory faster than it can be sent. */
  readonly limitMs: number;
  /** Its guests stand still while their memory is sent. */
  readonly emulates: boolean;
  /** Null: as fast as it goes. */
  readonly bandwidthMiBps: number | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Something has changed: to be looked at, and told. */
  readonly onChange: () => void;
}

interface Departure {
  order: OutgoingMigration;
  vm: VmGoal;
  call: Promise<void> | null;
  failure: string | null;
  wasResumed: boolean;
  /** Under the order as it is now; null: nobody has looked yet. */
  seen: DepartureSeen | null;
  percent: number | null;
  /** The hypervisor has nothing of it any more, not even a description. */
  isGone: boolean;
  /** To be called while its memory is being sent. */
  onMemory: (() => void) | null;
}

/** Machines that leave this host while they run. */
export class Departures {
  readonly #options: DepartureOptions;
  readonly #all = new Map<string, Departure>();

  constructor(options: DepartureOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  follow(goal: Goal): void {
    const orders = new Map((goal.outgoing ?? []).map((order) => [keyOf(order), order]));
    for (const [key, departure] of this.#all) {
      if (orders.has(key)) continue;
      if (departure.call === null) this.#all.delete(key);
      // Nobody wants it any more. Where it has just come to its end, there is nothing to be stopped.
      else departure.order = { ...departure.order, order: 'stop', resume: false };
    }
    for (const [key, order] of orders) {
      const vm = goal.vms.find(({ id }) => id === order.id);
      if (!vm) continue;
      const known = this.#all.get(key);
      if (!known)
        this.#all.set(key, {
          ...{ order, vm, call: null, failure: null, wasResumed: false, seen: null, percent: null },
          ...{ isGone: false, onMemory: null },
        });
      else {
        if (known.order.order !== order.order || known.order.resume !== order.resume) known.seen = null;
        known.order = order;
        known.vm = vm;
      }
    }
  }

  report(): MigrationReport[] {
    return [...this.#all.values()].flatMap((departure): MigrationReport[] => {
      const { order, seen, failure, percent } = departure;
      if (!seen) return [];
      return [
        {
          role: 'out',
          id: order.id,
          incarnation: order.incarnation,
          order: order.order,
          resume: order.resume,
          guest: seen.guest,
          state: stateOf(order, seen),
          ...(departure.isGone && !seen.isOurs && failure === null ? { gone: true } : {}),
          ...(failure === null ? {} : { message: failure.slice(0, 1024) }),
          ...(percent === null || !seen.isOurs ? {} : { percent }),
        },
      ];
    });
  }

  /** @param domains all of this host, looked at just now. */
  async look(domains: readonly DomainView[]): Promise<void> {
    for (const departure of this.#all.values()) await this.#lookAt(departure, domains);
  }

  async #lookAt(departure: Departure, domains: readonly DomainView[]): Promise<void> {
    const { driver, fleet } = this.#options;
    const { order, vm } = departure;
    const name = domainName(fleet, order.id);
    const domain = domains.find(({ mark }) => mark?.id === order.id && mark.incarnation === vm.incarnation);
    const guest = guestOf(domain);
    const job = guest === 'absent' ? null : await driver.migrations.job(name).catch(noSuchDomain);
    // Asked for while the domain was there: what it says now is for the next look.
    if (departure.order !== order) return;
    // By its name: whatever its mark says, something of it is here.
    const isGone = domains.every((each) => each.name !== name);
    if (isGone && order.copiesDisk && departure.call === null && departure.failure === null)
      // Whoever hears that it is gone may give the disk here up.
      await this.#options.copies.noteLeft(diskKeyOf(vm), { to: order.to, incarnation: order.incarnation });
    departure.isGone = isGone;
    departure.percent = job?.percent ?? departure.percent;
    if (job?.sendsMemory) departure.onMemory?.();
    departure.seen = {
      guest,
      job: job?.kind ?? 'none',
      isOurs: departure.call !== null,
      hasFailed: departure.failure !== null,
      wasResumed: departure.wasResumed,
    };
    const act = nextAct(order, departure.seen);
    if (act === 'begin' && domain) this.#begin(departure, domain);
    if (act === 'abort') await driver.migrations.abort(name);
    if (act === 'resume') {
      // A lock on its disk keeps it from running where the other one does after all.
      await driver
        .unpauseDomain(name)
        .catch((error: unknown) => this.#options.log.warn({ err: error, vm: order.id }, 'it cannot run on'));
      departure.wasResumed = true;
      departure.seen = null;
      this.#options.onChange();
    }
  }

  #begin(departure: Departure, domain: DomainView): void {
    const { log, onChange } = this.#options;
    const { order } = departure;
    departure.call = this.#migrate(departure, domain)
      .catch((thrown: unknown) => {
        const error = WeftError.from(thrown);
        log.warn({ err: error, vm: order.id, to: order.to }, 'a migration failed');
        departure.failure = error.message;
      })
      .finally(() => {
        departure.call = null;
        departure.seen = null;
        onChange();
      });
    if (departure.seen) departure.seen = { ...departure.seen, isOurs: true };
  }

  async #migrate(departure: Departure, domain: DomainView): Promise<void> {
    const { driver, sockets, fleet, filesOf, dial, limitMs, bandwidthMiBps, clock, log } = this.#options;
    const { order, vm } = departure;
    const name = domainName(fleet, order.id);
    if (!domain.mark) throw new WeftError('internal', `${name} has no mark`);
    let why: string | null = null;
    const owner = await driver.migrations.guestOwner();
    const tunnel = await OutgoingTunnel.open(sockets, owner, {
      domain: name,
      incarnation: order.incarnation,
      dial: (channel) => dial(order, channel),
      onFailed: (error) => {
        why ??= error.message;
      },
    });
    let limit: Timer | null = null;
    const limitIt = () => {
      limit ??= clock.after(limitMs, giveUp);
    };
    const giveUp = () => {
      why = whyGivenUp(this.#options);
      void driver.migrations
        .abort(name)
        .catch((error: unknown) => log.warn({ err: error, vm: order.id }, 'it could not be stopped'));
    };
    // A disk takes as long as it takes, and its guest runs meanwhile.
    if (order.copiesDisk) departure.onMemory = limitIt;
    else limitIt();
    try {
      await driver.migrations.migrate(name, {
        mark: { ...domain.mark, incarnation: order.incarnation },
        from: filesOf(vm, domain),
        to: order.files,
        control: sockets.path(name, order.incarnation, 'control'),
        memory: sockets.path(name, order.incarnation, 'memory'),
        disk: order.copiesDisk ? sockets.path(name, order.incarnation, 'disk') : null,
        bandwidthMiBps,
        standsStill: order.standsStill === true,
      });
    } catch (error) {
      throw why === null ? error : new WeftError('hypervisor-failed', why, { cause: error });
    } finally {
      departure.onMemory = null;
      (limit as Timer | null)?.cancel();
      // Its sockets go with it.
      tunnel.close();
    }
  }
}

const whyGivenUp = ({ limitMs, emulates }: Pick<DepartureOptions, 'limitMs' | 'emulates'>): string => {
  const limit = `${Math.round(limitMs / 1000)} s`;
  return emulates
    ? `its memory was not sent within ${limit}, for which it stood still: the way is too slow for it`
    : `it was not there after ${limit}: the way is too slow for its memory, or for how fast it changes that`;
};

/** It has just gone. */
const noSuchDomain = (error: unknown) => {
  if (WeftError.from(error).code === 'not-found') return null;
  throw error;
};
