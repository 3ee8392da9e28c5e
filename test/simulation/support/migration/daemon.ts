import type { Duplex } from 'node:stream';
import type { FakeDomain, FakeHypervisor } from '../../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { MigrationJob, MigrationOrder } from '../../../../agent/hypervisor/migration-driver.ts';
import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import type { Random } from '../random.ts';
import type { MachineDisk } from '../simulated-disks.ts';
import { type Carry, connection } from './connection.ts';
import { Incoming } from './incoming.ts';
import { OutgoingJob } from './outgoing-job.ts';
import { isStill, STANDS_STILL } from './stands-still.ts';

/** Where libvirt listens, on every host. */
export const LIBVIRT = '/run/libvirt/libvirt-sock';

export interface DaemonOptions {
  readonly hypervisor: FakeHypervisor;
  /** Of the host, as long as its boot lasts. */
  readonly clock: Clock;
  readonly random: Random;
  /** Something was set in motion that goes on in a later turn of the event loop. */
  readonly note: () => void;
  /** Disks of machines on the host's own pool, which go along. */
  readonly machines: ReadonlyMap<string, MachineDisk>;
  /** Breaks a rule on purpose: what comes with its disk is let run at once. */
  readonly runsCopies: boolean;
  /** Another host's copy has the disk locked. */
  readonly isLocked: (vmId: string) => boolean;
  /** The highest incarnation of a machine that has run anywhere. */
  readonly highestRun: (vmId: string) => number;
}

/**
 * libvirt of one boot of a host, as far as guests come and go while they run. It outlives the agent's process; guests outlive it. What it
 * does when it dies in the middle, and when it is there again, is what libvirt does.
 */
export class SimulatedDaemon {
  readonly #options: DaemonOptions;
  readonly #listening = new Map<string, (socket: Duplex) => void>();
  readonly #jobs = new Map<string, OutgoingJob>();
  readonly #incoming = new Map<string, Incoming>();
  readonly #arrivals = new Map<string, { downtimeMs: number; totalMs: number }>();
  readonly #sockets = new Set<Duplex>();
  #isOver = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#listenForOthers();
  }

  get isDown(): boolean {
    return this.#options.hypervisor.away !== null;
  }

  /** The unix sockets of this host. */
  listen(path: string, onConnection: (socket: Duplex) => void): { close(): void } {
    this.#listening.set(path, onConnection);
    return {
      close: () => {
        if (this.#listening.get(path) === onConnection) this.#listening.delete(path);
      },
    };
  }

  async connect(path: string): Promise<Duplex> {
    const accept = this.#listening.get(path);
    if (!accept || this.#isOver) throw new WeftError('host-unreachable', `nobody listens on ${path}`);
    const atOnce: Carry = (arrive) => {
      this.#options.note();
      arrive();
    };
    const [near, far] = connection(atOnce, atOnce);
    this.#keep(near);
    this.#keep(far);
    accept(far);
    return near;
  }

  /** As in `MigrationDriver`. */
  async migrate(name: string, order: MigrationOrder): Promise<void> {
    const domain = this.#require(name);
    if (domain.state !== 'running') throw new WeftError('hypervisor-failed', `${name} is not running`);
    if (this.#jobs.has(name)) throw new WeftError('conflict', `${name} is being worked on`);
    const { clock, random, hypervisor } = this.#options;
    const isThere = () =>
      hypervisor.domains.get(name) === domain && (domain.state === 'running' || isStill(domain));
    const job = new OutgoingJob({
      ...{ order, domain, clock, random, isThere },
      connect: (path) => this.connect(path),
      written: () => this.#options.machines.get(order.mark.id)?.written ?? null,
      standStill: () => {
        if (isThere() && !isStill(domain)) hypervisor.freeze(name, domain, 'paused', STANDS_STILL);
      },
    });
    this.#jobs.set(name, job);
    try {
      await job.run();
      if (this.#isOver || this.isDown) return;
      this.#jobs.delete(name);
      if (hypervisor.domains.get(name) !== domain) return;
      hypervisor.domains.delete(name);
      hypervisor.halt(name, domain, 'shut-off', 'migrated');
    } catch (error) {
      // Where the daemon is gone, the next one sees to it.
      if (!this.#isOver && !this.isDown) {
        this.#jobs.delete(name);
        if (!job.isHandedOver || this.#isTakenBack(order)) this.#runOn(name, domain);
      }
      throw error;
    } finally {
      job.close();
    }
  }

  job(name: string): MigrationJob {
    this.#require(name);
    const job = this.#jobs.get(name);
    return { kind: job ? 'migration' : 'none', percent: null, sendsMemory: job?.sendsMemory ?? true };
  }

  abort(name: string): void {
    this.#jobs.get(name)?.abort();
  }

  arrival(name: string): { downtimeMs: number; totalMs: number } | null {
    return this.#arrivals.get(name) ?? null;
  }

  /** kill -9 of libvirt: guests go on running, nobody answers, and what it has begun stays as it is. */
  stop(): void {
    if (this.isDown) return;
    this.#options.hypervisor.away = new WeftError('hypervisor-failed', 'libvirt does not answer');
    this.#listening.delete(LIBVIRT);
    for (const job of this.#jobs.values()) job.die();
    for (const incoming of this.#incoming.values()) incoming.close();
    this.#arrivals.clear();
  }

  /** It is there again, and brings to an end what the one before it had begun. */
  start(): void {
    if (!this.isDown) return;
    const { hypervisor } = this.#options;
    hypervisor.away = null;
    this.#listenForOthers();
    for (const [name, job] of this.#jobs) {
      const domain = hypervisor.domains.get(name);
      // What was handed over, without a word of how that ended, is left standing still.
      if (domain && !job.isHandedOver) this.#runOn(name, domain);
    }
    this.#jobs.clear();
    for (const incoming of this.#incoming.values()) incoming.recover();
    hypervisor.emit({ type: 'connected' });
  }

  /** What stays over a boot: all but what is just coming. */
  defined(): ReadonlyMap<string, FakeDomain> {
    return new Map([...this.#options.hypervisor.domains].filter(([name]) => !this.#incoming.has(name)));
  }

  /** The power is cut. */
  end(): void {
    this.#isOver = true;
    this.#listening.clear();
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Without a word of how it ended libvirt lets it run on here, or does not get to. It does so even where the other host has died just
   * after it ran there, for which nobody but libvirt could do anything: that is left out.
   */
  #isTakenBack({ mark }: MigrationOrder): boolean {
    const { random, highestRun, isLocked } = this.#options;
    return random.chance(0.7) && (isLocked(mark.id) || highestRun(mark.id) < mark.incarnation);
  }

  #listenForOthers(): void {
    this.listen(LIBVIRT, (socket) => this.#serve(socket));
  }

  #serve(socket: Duplex): void {
    const { hypervisor, clock, random, isLocked, machines, runsCopies } = this.#options;
    const incoming = new Incoming(socket, {
      ...{ hypervisor, clock, random, isLocked, machines, runsCopies },
      isOver: () => this.#isOver || this.isDown,
      listen: (path, onConnection) => this.listen(path, onConnection),
      onBegun: (name) => this.#incoming.set(name, incoming),
      onArrived: (name, how) => this.#arrivals.set(name, how),
      onEnd: (name) => {
        if (this.#incoming.get(name) === incoming) this.#incoming.delete(name);
      },
    });
  }

  /** The lock on its disk lets one copy run. */
  #runOn(name: string, domain: FakeDomain): void {
    const { hypervisor, isLocked } = this.#options;
    const isThere = hypervisor.domains.get(name) === domain && isStill(domain);
    if (!isThere || isLocked(domain.mark?.id ?? '')) return;
    domain.state = 'running';
    domain.reason = 'migration-canceled';
    hypervisor.emit({ type: 'lifecycle', name, state: 'running', detail: 'resumed migrated' });
  }

  #require(name: string): FakeDomain {
    if (this.#options.hypervisor.away) throw this.#options.hypervisor.away;
    const domain = this.#options.hypervisor.domains.get(name);
    if (domain) return domain;
    throw new WeftError('not-found', `there is no domain ${name}`);
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
