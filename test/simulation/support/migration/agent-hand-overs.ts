import type { Duplex } from 'node:stream';
import { diskKeyOf } from '../../../../agent/executor/disk-key.ts';
import type { Executor } from '../../../../agent/executor/executor.ts';
import { Landings } from '../../../../agent/executor/landings.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import { type ArrivalOptions, Arrivals } from '../../../../agent/migrations/arrivals.ts';
import { Departures } from '../../../../agent/migrations/departures.ts';
import { MigrationKeeper } from '../../../../agent/migrations/keeper.ts';
import { serveMigration } from '../../../../agent/migrations/serve.ts';
import { MigrationSockets } from '../../../../agent/migrations/sockets.ts';
import type { Goal, MigrationReport, OpenStream } from '../../../../agent/protocol/index.ts';
import type { HostClock } from '../host-clock.ts';
import type { SimulatedDriver } from '../simulated-driver.ts';
import { LIBVIRT, type SimulatedDaemon } from './daemon.ts';
import type { SimulatedMigrations } from './simulated-migrations.ts';

/** The sockets of a host in memory, as one process of its agent has them: with it go its own, and its connections. */
class SimulatedSockets extends MigrationSockets {
  readonly #daemon: SimulatedDaemon;
  readonly #own = new Set<{ close(): void }>();

  constructor(daemon: SimulatedDaemon) {
    super();
    this.#daemon = daemon;
  }

  override async prepare(): Promise<void> {}

  override async listen(path: string, _owner: null, onConnection: (socket: Duplex) => void) {
    const listening = this.#daemon.listen(path, (socket) => onConnection(this.keep(socket)));
    this.#own.add(listening);
    return listening;
  }

  override async connect(path: string): Promise<Duplex> {
    return this.keep(await this.#daemon.connect(path));
  }

  override async remove(): Promise<void> {}

  override async sweep(): Promise<void> {}

  keep(socket: Duplex): Duplex {
    const own = { close: () => void socket.destroy() };
    this.#own.add(own);
    socket.once('close', () => this.#own.delete(own));
    return socket;
  }

  kill(): void {
    for (const each of this.#own) each.close();
    this.#own.clear();
  }
}

export interface AgentHandOversOptions
  extends Pick<
    ArrivalOptions,
    'fleet' | 'disks' | 'cache' | 'folders' | 'paths' | 'fetchSecrets' | 'log' | 'onChange'
  > {
  readonly driver: SimulatedDriver & { readonly migrations: SimulatedMigrations };
  readonly executor: Executor;
  readonly daemon: SimulatedDaemon;
  readonly clock: HostClock;
  /** A connection to the controller that carries bytes. */
  readonly dial: (path: string) => Promise<Duplex>;
}

/** Disks of simulated hosts are not copied along: no goal asks for it. */
const noCopy = () => Promise.reject(new WeftError('not-supported', 'this host copies no disks'));
const NO_COPIES = { measure: noCopy, begin: noCopy, flush: noCopy, noteLeft: noCopy };

/** Longer than any hand-over takes whose connections hold. */
const LIMIT_MS = 60_000;

/** What one process of an agent has of hand-overs: the real keeper, over libvirt and connections in memory. */
export class AgentHandOvers {
  readonly #options: AgentHandOversOptions;
  readonly #sockets: SimulatedSockets;
  readonly #keeper: MigrationKeeper;

  constructor(options: AgentHandOversOptions) {
    const { fleet, driver, executor, disks, paths, clock, log } = options;
    this.#options = options;
    this.#sockets = new SimulatedSockets(options.daemon);
    const sockets = this.#sockets;
    this.#keeper = new MigrationKeeper({
      driver,
      departures: (onChange) =>
        new Departures({
          ...{ fleet, driver, sockets, clock, log, onChange, copies: NO_COPIES },
          filesOf: (vm, domain) => ({
            disk: domain.overlay ?? disks.path(diskKeyOf(vm)),
            seed: paths.seed(vm.id, vm.incarnation),
            console: paths.consoleLog(vm.id),
          }),
          dial: ({ id, incarnation }, channel) =>
            this.#dial(`/agent/v1/migrations/${id}/${incarnation}/${channel}`),
          limitMs: LIMIT_MS,
          emulates: true,
          bandwidthMiBps: null,
        }),
      arrivals: (onChange) =>
        new Arrivals({
          ...options,
          ...{ sockets, onChange, copies: NO_COPIES, landings: new Landings() },
          libvirtSocket: async () => LIBVIRT,
          networkReady: (vm) => executor.readyNetwork(vm),
          composeSeed: () => new Map(),
          writeSeedIso: async () => undefined,
          requireLease: () => undefined,
        }),
      ...{ clock, log, copies: NO_COPIES },
      onChange: options.onChange,
    });
  }

  follow(goal: Goal): void {
    this.#keeper.follow(goal);
  }

  report(): MigrationReport[] {
    return this.#keeper.report();
  }

  /** The controller asks for one connection of a migration that comes here. */
  openStream(request: OpenStream): void {
    const { log } = this.#options;
    void serveMigration(request, {
      dial: (path) => this.#dial(path),
      connect: (vmId, incarnation, channel) => this.#keeper.connect(vmId, incarnation, channel),
      log,
    });
  }

  kill(): void {
    this.#keeper.close();
    this.#sockets.kill();
  }

  async #dial(path: string): Promise<Duplex> {
    const { dial, clock } = this.#options;
    if (clock.killed) return new Promise(() => undefined);
    return this.#sockets.keep(await dial(path));
  }
}
