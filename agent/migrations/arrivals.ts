import type { Duplex } from 'node:stream';
import type { DiskCopies } from '../disks/disk-copies.ts';
import { diskKeyOf } from '../executor/disk-key.ts';
import type { Landings } from '../executor/landings.ts';
import { domainName } from '../executor/names.ts';
import type { ProvisionDependencies } from '../executor/provision.ts';
import { rbdVolume } from '../executor/rbd-volume.ts';
import type { DomainView, HypervisorDriver, RbdVolume } from '../hypervisor/driver.ts';
import type { MigrationDriver } from '../hypervisor/migration-driver.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import {
  blobsOf,
  type DiskFacts,
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
  readonly driver: Pick<HypervisorDriver, 'listDomains'> & { readonly migrations: MigrationDriver };
  readonly copies: Pick<DiskCopies, 'begin' | 'flush'>;
  readonly landings: Landings;
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
  /** Of one whose disk is copied along. */
  readonly disk: DiskFacts | null;
  /** It comes paused, and this host's goal says when it runs. Of one whose disk is copied along that is always so. */
  readonly standsStill: boolean;
  /** What it is to lie on, once that is here. */
  backing: string | null;
  /** All of it is here, and safe from a loss of power. */
  landed: boolean;
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
      const { vm, state, guest, message, files, direct, way, arrived, mayHaveRun, landed } = arrival;
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
          ...(landed ? { landed } : {}),
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
    const expected = () => {
      const arrival = this.#all.get(keyOf({ id: vmId, incarnation }));
      if (arrival?.state === 'ready') return arrival;
      throw new WeftError('forbidden', `${vmId} is not expected here`);
    };
    const arrival = expected();
    this.#options.requireLease(arrival.vm);
    // It is the first one of each try: no block of an earlier one is left in what that fills, and no libvirt that ended since had its key.
    if (channel === 'control') {
      await this.#makePlace(arrival, false);
      await this.#keepKey(arrival.vm);
    }
    expected();
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
      ...{ disk: incoming.disk ?? null, backing: null, landed: false },
      standsStill: incoming.disk !== undefined || incoming.standsStill === true,
      ...{ vm, abort: new AbortController(), state: 'preparing', message: null },
      ...{ files: null, direct: null, way: null, guest: null, arrived: null, mayHaveRun: false, asked: 0 },
    };
    this.#all.set(key, arrival);
    const { signal } = arrival.abort;
    void Promise.all([this.#prepare(arrival, signal), this.#letIn(incoming)])
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

  async #prepare(arrival: Arrival, signal: AbortSignal): Promise<MigrationFiles> {
    const { vm, disk } = arrival;
    const { disks, cache, folders, paths, sockets, driver, networkReady, requireLease } = this.#options;
    requireLease(vm);
    const key = diskKeyOf(vm);
    if (disk === null) await disks.requireMachineDisk(key, vm.diskIncarnation);
    const top = vm.image.layers.at(-1);
    const [network, files] = await Promise.all([
      networkReady(vm),
      Promise.all(
        blobsOf(vm.image).map(async (blob) => ({
          digest: blob.digest,
          path: await cache.ensure(blob, blob.kind, { signal }),
        })),
      ),
      folders.prepare(vm.id),
    ]);
    arrival.backing = files.find(({ digest }) => digest === top?.digest)?.path ?? null;
    signal.throwIfAborted();
    await this.#makePlace(arrival, true);
    const volume = await this.#keepKey(vm);
    const seed = await this.#seed(vm, network, signal);
    await sockets.prepare(await driver.migrations.guestOwner());
    signal.throwIfAborted();
    return {
      ...{ disk: disks.path(key), seed, console: paths.consoleLog(vm.id) },
      ...(volume ? { ceph: { conf: volume.conf, user: volume.user } } : {}),
    };
  }

  /** The hypervisor here has what it needs to open a disk in Ceph. @returns that; null: its disk is a file. */
  async #keepKey(vm: VmGoal): Promise<RbdVolume | null> {
    const { fleet, disks, driver } = this.#options;
    const image = disks.rbdOf(diskKeyOf(vm));
    if (image === null) return null;
    const volume = rbdVolume(image, fleet);
    await driver.migrations.keepKey(volume);
    return volume;
  }

  /**
   * An empty place for the disk that is copied along.
   * @param mayBeHere it may have come already, to an agent before this one. @throws WeftError `conflict` otherwise.
   */
  async #makePlace({ vm, disk, backing }: Arrival, mayBeHere: boolean): Promise<void> {
    if (disk === null || backing === null) return;
    const { driver, copies } = this.#options;
    const there = (await driver.listDomains()).find(({ mark }) => mark?.id === vm.id)?.mark;
    if (there?.incarnation === vm.incarnation && mayBeHere) return;
    if (there)
      throw new WeftError('conflict', `incarnation ${there.incarnation} of ${vm.id} is on this host yet`);
    await copies.begin(diskKeyOf(vm), backing, disk);
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
    const { disks } = this.#options;
    const { vm } = arrival;
    const domain = domains.find(({ mark }) => mark?.id === vm.id && mark.incarnation === vm.incarnation);
    const guest = guestOf(domain);
    if (arrival.standsStill) {
      await this.#lookAtStill(arrival, domain, guest);
      return;
    }
    // The hypervisor keeps its description from the moment on in which it is about to let it run.
    arrival.mayHaveRun ||= domain?.state === 'shut-off' || guest === 'running';
    if (guest === 'running' && arrival.guest !== 'running') {
      // Whoever hears that it runs here finds it written down.
      await disks.takeOver(diskKeyOf(vm));
      if (!(await this.#learnHowItCame(arrival))) {
        arrival.guest ??= 'paused';
        return;
      }
    }
    arrival.guest = guest;
  }

  /** It runs only when this host's goal says that it is its own: until then its old host may have it after all. */
  async #lookAtStill(arrival: Arrival, domain: DomainView | undefined, guest: GuestSeen): Promise<void> {
    const { fleet, copies, driver, landings, clock } = this.#options;
    const seenAtMs = clock.now();
    arrival.guest = guest;
    const waits = domain?.state === 'paused' && domain.reason === WAITS;
    if (!waits) arrival.landed = false;
    if (!waits || arrival.landed) return;
    const job = await driver.migrations.job(domainName(fleet, arrival.vm.id));
    if (job.kind !== 'none' || !(await this.#learnHowItCame(arrival))) return;
    if (arrival.arrived !== null) landings.note(arrival.vm, arrival.arrived, seenAtMs);
    if (arrival.disk !== null) await copies.flush(diskKeyOf(arrival.vm));
    arrival.landed = true;
  }

  /** @returns false: not said yet. */
  async #learnHowItCame(arrival: Arrival): Promise<boolean> {
    const { fleet, driver, clock, onChange } = this.#options;
    arrival.arrived = await driver.migrations.arrival(domainName(fleet, arrival.vm.id)).catch(() => null);
    if (arrival.arrived !== null || ++arrival.asked >= ASK.atMost) return true;
    clock.after(ASK.everyMs, onChange);
    return false;
  }
}

/** libvirt's reason of a guest that came whole and was to stay paused; while it comes, it is `migration`. */
const WAITS = 'user';
