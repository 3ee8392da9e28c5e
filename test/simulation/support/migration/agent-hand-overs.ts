import type { Duplex } from 'node:stream';
import type { DiskCopies } from '../../../../agent/disks/disk-copies.ts';
import { diskKeyOf } from '../../../../agent/executor/disk-key.ts';
import type { Executor } from '../../../../agent/executor/executor.ts';
import { type ArrivalOptions, Arrivals } from '../../../../agent/migrations/arrivals.ts';
import { Departures } from '../../../../agent/migrations/departures.ts';
import { type DirectLines, MigrationDialler } from '../../../../agent/migrations/direct/dialler.ts';
import { MigrationKeeper } from '../../../../agent/migrations/keeper.ts';
import { serveMigration } from '../../../../agent/migrations/serve.ts';
import { MigrationSockets } from '../../../../agent/migrations/sockets.ts';
import type { Goal, MigrationReport, OpenStream } from '../../../../agent/protocol/index.ts';
import type { HostClock } from '../host-clock.ts';
import type { SimulatedDriver } from '../simulated-driver.ts';
import { LIBVIRT, type SimulatedDaemon } from './daemon.ts';
import { SimulatedDoor } from './direct-lines.ts';
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
    | 'fleet'
    | 'disks'
    | 'copies'
    | 'landings'
    | 'cache'
    | 'folders'
    | 'paths'
    | 'fetchSecrets'
    | 'log'
    | 'onChange'
  > {
  readonly driver: SimulatedDriver & { readonly migrations: SimulatedMigrations };
  readonly executor: Executor;
  readonly daemon: SimulatedDaemon;
  readonly clock: HostClock;
  /** A connection to the controller that carries bytes. */
  readonly dial: (path: string) => Promise<Duplex>;
  readonly copies: DiskCopies;
  /** Where other hosts' agents reach this one; null: nowhere. */
  readonly address: string | null;
  /** To other hosts' agents. */
  readonly lines: DirectLines;
}

/** No certificate is looked at: who is at the other end of a connection in memory is known. */
const NOBODY = { ca: '', certificate: '', key: '' };

/** Longer than any hand-over takes whose connections hold. */
const LIMIT_MS = 60_000;

/** What one process of an agent has of hand-overs: the real keeper, over libvirt and connections in memory. */
export class AgentHandOvers {
  readonly #options: AgentHandOversOptions;
  readonly #sockets: SimulatedSockets;
  readonly #keeper: MigrationKeeper;
  readonly door: SimulatedDoor;

  constructor(options: AgentHandOversOptions) {
    const { fleet, driver, executor, disks, copies, paths, clock, log } = options;
    this.#options = options;
    this.#sockets = new SimulatedSockets(options.daemon);
    const sockets = this.#sockets;
    this.door = new SimulatedDoor(
      options.address,
      (vmId, incarnation, channel) => this.#keeper.connect(vmId, incarnation, channel, 'direct'),
      (socket) => sockets.keep(socket),
    );
    const dialler = new MigrationDialler({
      ...{ clock, log, relay: (path) => this.#dial(path) },
      lines: {
        ask: options.lines.ask,
        open: async (target, limitMs) => {
          const line = await options.lines.open(target, limitMs);
          sockets.keep(line);
          if (!clock.killed) return line;
          line.destroy();
          return new Promise(() => undefined);
        },
      },
      identity: () => NOBODY,
    });
    this.#keeper = new MigrationKeeper({
      driver,
      departures: (onChange) =>
        new Departures({
          ...{ fleet, driver, sockets, clock, log, onChange, copies },
          filesOf: (vm, domain) => ({
            disk: domain.overlay ?? disks.path(diskKeyOf(vm)),
            seed: paths.seed(vm.id, vm.incarnation),
            console: paths.consoleLog(vm.id),
          }),
          dial: (order, channel) => dialler.dial(order, channel),
          limitMs: LIMIT_MS,
          emulates: true,
          bandwidthMiBps: null,
        }),
      arrivals: (onChange) =>
        new Arrivals({
          ...options,
          ...{ sockets, onChange, door: this.door },
          libvirtSocket: async () => LIBVIRT,
          networkReady: (vm) => executor.readyNetwork(vm),
          composeSeed: () => new Map(),
          writeSeedIso: async () => undefined,
          requireLease: () => undefined,
        }),
      ...{ clock, log, copies },
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
    this.door.kill();
    this.#keeper.close();
    this.#sockets.kill();
  }

  async #dial(path: string): Promise<Duplex> {
    const { dial, clock } = this.#options;
    if (clock.killed) return new Promise(() => undefined);
    return this.#sockets.keep(await dial(path));
  }
}
