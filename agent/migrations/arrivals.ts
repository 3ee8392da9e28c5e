import type { Duplex } from 'node:stream';
import { diskKeyOf } from '../executor/disk-key.ts';
import { domainName } from '../executor/names.ts';
import type { ProvisionDependencies } from '../executor/provision.ts';
import type { DomainView } from '../hypervisor/driver.ts';
import type { MigrationDriver } from '../hypervisor/migration-driver.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import {
  blobsOf,
  type Goal,
  type GuestSeen,
  type MigrationChannel,
  type MigrationDoor,
  type MigrationFiles,
  type MigrationReport,
  type MigrationWay,
  type NetworkGoal,
  type VmGoal,
} from '../protocol/index.ts';
import type { ArrivalDoor } from './direct/arrival-door.ts';
import { guestOf } from './guest-seen.ts';
import { keyOf } from './key.ts';
import type { MigrationSockets } from './sockets.ts';

export interface ArrivalOptions
  extends Pick<
    ProvisionDependencies,
    'disks' | 'cache' | 'folders' | 'paths' | 'fetchSecrets' | 'composeSeed' | 'writeSeedIso'
  > {
  readonly fleet: string;
  readonly driver: { readonly migrations: MigrationDriver };
  readonly sockets: MigrationSockets;
  /** Of this host's libvirt. */
  readonly libvirtSocket: () => Promise<string>;
  /** Resolves when the machine's subnet stands on this host. */
  readonly networkReady: (vm: VmGoal) => Promise<NetworkGoal>;
  /** Where it may come in straight from the other host; absent: nowhere. */
  readonly door?: Pick<ArrivalDoor, 'open' | 'shut'>;
  /** @throws when this host may not run it now: it holds no lease for its pool. */
  readonly requireLease: (vm: VmGoal) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: () => void;
}

type Incoming = NonNullable<Goal['incoming']>[number];
type Arrived = { readonly downtimeMs: number; readonly totalMs: number };

interface Arrival {
  readonly vm: VmGoal;
  readonly abort: AbortController;
  state: 'preparing' | 'ready' | 'refused';
  message: string | null;
  files: MigrationFiles | null;
  direct: MigrationDoor | null;
  /** How its memory comes; null: it does not come yet. */
  way: MigrationWay | null;
  /** Null: nobody has looked yet. */
  guest: GuestSeen | null;
  arrived: Arrived | null;
  mayHaveRun: boolean;
  /** How often libvirt was asked how it came. */
  asked: number;
}

/** libvirt says how a guest came a moment after that guest runs; what it does not say soon it never will. */
const ASK = { everyMs: 50, atMost: 20 };

/**
 * Machines that come to this host while they run. Everything is there before they come; nothing here starts them, and that they run here
 * is told when it is written down beside their disk.
 */
export class Arrivals {
  readonly #options: ArrivalOptions;
  readonly #all = new Map<string, Arrival>();

  constructor(options: ArrivalOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  follow(goal: Goal): void {
    const wanted = new Map((goal.incoming ?? []).map((incoming) => [keyOf(incoming.vm), incoming]));
    for (const [key, arrival] of this.#all) {
      if (wanted.has(key)) continue;
      this.#all.delete(key);
      arrival.abort.abort(new WeftError('conflict', 'it comes here no more'));
      const { id, incarnation } = arrival.vm;
      const { sockets, fleet, log, door } = this.#options;
      door?.shut(arrival.vm);
      void sockets
        .remove(domainName(fleet, id), incarnation)
        .catch((error: unknown) => log.warn({ err: error, vm: id }, 'a socket is left'));
    }
    for (const [key, incoming] of wanted)
      if (this.#all.has(key)) void this.#letIn(incoming);
      else this.#begin(key, incoming);
  }

  report(): MigrationReport[] {
    return [...this.#all.values()].flatMap((arrival): MigrationReport[] => {
      const { vm, state, guest, message, files, direct, way, arrived, mayHaveRun } = arrival;
      if (guest === null) return [];
      return [
        {
          ...{ role: 'in', id: vm.id, incarnation: vm.incarnation, state, guest },
          ...(message === null ? {} : { message: message.slice(0, 1024) }),
          ...(files === null ? {} : { files }),
          ...(direct === null ? {} : { direct }),
          ...(way === null ? {} : { way }),
          ...(arrived ?? {}),
          ...(mayHaveRun && guest === 'absent' ? { ran: true } : {}),
        },
      ];
    });
  }

  /** @param domains all of this host, looked at just now. */
  async look(domains: readonly DomainView[]): Promise<void> {
    for (const arrival of this.#all.values()) await this.#lookAt(arrival, domains);
  }

  /** The near end of one connection of a migration. @throws WeftError `forbidden` for a machine that does not come here. */
  async connect(
    vmId: string,
    incarnation: number,
    channel: MigrationChannel,
    way: MigrationWay = 'relayed',
  ): Promise<Duplex> {
    const { fleet, sockets, libvirtSocket } = this.#options;
    const arrival = this.#all.get(keyOf({ id: vmId, incarnation }));
    if (arrival?.state !== 'ready') throw new WeftError('forbidden', `${vmId} is not expected here`);
    this.#options.requireLease(arrival.vm);
    const near = await sockets.connect(
      channel === 'control'
        ? await libvirtSocket()
        : sockets.path(domainName(fleet, vmId), incarnation, channel),
    );
    if (channel === 'memory') arrival.way = way;
    return near;
  }

  close(): void {
    for (const { abort } of this.#all.values()) abort.abort();
  }

  /** Straight from the other host, as the goal knows that one now. */
  async #letIn({ vm, from, certifiedFromMs }: Incoming): Promise<MigrationDoor | null> {
    if (certifiedFromMs === undefined) return null;
    return (await this.#options.door?.open(vm, { name: from, certifiedFromMs })) ?? null;
  }

  #begin(key: string, incoming: Incoming): void {
    const { log, onChange } = this.#options;
    const { vm } = incoming;
    const arrival: Arrival = {
      ...{ vm, abort: new AbortController(), state: 'preparing', message: null },
      ...{ files: null, direct: null, way: null, guest: null, arrived: null, mayHaveRun: false, asked: 0 },
    };
    this.#all.set(key, arrival);
    const { signal } = arrival.abort;
    void Promise.all([this.#prepare(vm, signal), this.#letIn(incoming)])
      .then(
        ([files, direct]) => Object.assign(arrival, { state: 'ready', files, direct }),
        (thrown: unknown) => {
          if (signal.aborted) return;
          const error = WeftError.from(thrown);
          log.warn({ err: error, vm: vm.id }, 'a machine cannot come here');
          Object.assign(arrival, { state: 'refused', message: error.message });
        },
      )
      .finally(onChange);
  }

  async #prepare(vm: VmGoal, signal: AbortSignal): Promise<MigrationFiles> {
    const { disks, cache, folders, paths, sockets, driver, networkReady, requireLease } = this.#options;
    requireLease(vm);
    const key = diskKeyOf(vm);
    await disks.requireMachineDisk(key, vm.diskIncarnation);
    const [network] = await Promise.all([
      networkReady(vm),
      ...blobsOf(vm.image).map((blob) => cache.ensure(blob, blob.kind, { signal })),
      folders.prepare(vm.id),
    ]);
    const seed = await this.#seed(vm, network, signal);
    await sockets.prepare(await driver.migrations.guestOwner());
    signal.throwIfAborted();
    return { disk: disks.path(key), seed, console: paths.consoleLog(vm.id) };
  }

  /** The guest reads it again when it boots: then it is this incarnation's. */
  async #seed(vm: VmGoal, network: NetworkGoal, signal: AbortSignal): Promise<string | null> {
    if (vm.image.seed === 'none') return null;
    const { fleet, paths, fetchSecrets, composeSeed, writeSeedIso } = this.#options;
    const secrets = await fetchSecrets(vm, signal);
    const path = paths.seed(vm.id, vm.incarnation);
    await writeSeedIso(path, composeSeed({ vm, network, secrets, fleet }));
    return path;
  }

  async #lookAt(arrival: Arrival, domains: readonly DomainView[]): Promise<void> {
    const { fleet, disks, driver, clock, onChange } = this.#options;
    const { vm } = arrival;
    const domain = domains.find(({ mark }) => mark?.id === vm.id && mark.incarnation === vm.incarnation);
    const guest = guestOf(domain);
    // The hypervisor keeps its description from the moment on in which it is about to let it run.
    arrival.mayHaveRun ||= domain?.state === 'shut-off' || guest === 'running';
    if (guest === 'running' && arrival.guest !== 'running') {
      // Whoever hears that it runs here finds it written down.
      await disks.takeOver(diskKeyOf(vm));
      arrival.arrived = await driver.migrations.arrival(domainName(fleet, vm.id)).catch(() => null);
      if (arrival.arrived === null && ++arrival.asked < ASK.atMost) {
        arrival.guest ??= 'paused';
        clock.after(ASK.everyMs, onChange);
        return;
      }
    }
    arrival.guest = guest;
  }
}
