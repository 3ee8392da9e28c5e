import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { FleetRecord } from '../../../controller/model/index.ts';
import { createOperations, type Operations } from '../../../controller/operations/index.ts';
import type { plan } from '../../../controller/reconciler/plan.ts';
import type { Transaction } from '../../../controller/store/contract.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost, type HostShape } from '../../support/builders/host.ts';
import { ControllerLife, catalogue } from './controller-life.ts';
import { describeFabric } from './describe.ts';
import { fullCheck } from './invariants/full-check.ts';
import { Invariants } from './invariants.ts';
import { HostNetwork } from './migration/direct-lines.ts';
import { underlayOf } from './network/underlay-of.ts';
import { ObservedStore } from './observed-store.ts';
import { Random, Steady } from './random.ts';
import type { Records } from './records.ts';
import { Activity } from './settle.ts';
import { SharedPool } from './shared-pool.ts';
import { SimulatedHost } from './simulated-host.ts';
import type { HostMutation } from './simulated-host-options.ts';
import { deviceOf, SimulatedPower } from './simulated-power.ts';
import { SimulatedStorage } from './storage/simulated-storage.ts';
import { copyOf, goingBack, type StoreCopy } from './store-copy.ts';

const FLEET_RECORD: FleetRecord = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };
export const START_MS = 1_000_000;
/** Clock events, for each host, after which everything is checked anew: some minutes of heartbeats. */
const EVENTS_OF_A_HOST = 300;

export interface SimulationOptions {
  readonly seed: number;
  readonly hosts: readonly HostShape[];
  readonly failureRate?: number;
  /** How long is waited for an end, virtual ms; default: longer than a host is ever held off. */
  readonly limitMs?: number;
  /** Where everything takes as long as it usually does. */
  readonly steady?: boolean;
  /** Told of every commit and of every change on a host. */
  readonly onCommit?: (transaction: Transaction) => void;
  readonly onHostChange?: (host: SimulatedHost) => void;
  /** What is declared beside the model that faults are asked of; default: nothing. */
  readonly alsoDeclared?: string;
  /** Agents leave words in the pool that hosts share; default: not. */
  readonly leavesBeats?: boolean;
  /** Hosts reach each other, and machines go straight from one to the next; default: not. */
  readonly listens?: boolean;
  /** Every host can be switched off by a fence device of its own. */
  readonly fence?: boolean;
  /** Hosts serve the world, and a role is published; default: not. */
  readonly edges?: boolean;
  /** Breaks a rule of every agent on purpose. */
  readonly hostMutation?: HostMutation;
  /** Breaks the controller on purpose: what is planned instead. */
  readonly plan?: typeof plan;
}

/**
 * A fabric under virtual time: the real reconciler, fencer, operations and memory store over hosts with the real executor. Time
 * jumps from one event to the next, and every invariant is checked where something has changed.
 */
export class Simulation {
  readonly clock = new VirtualClock(START_MS);
  readonly random: Random;
  readonly activity = new Activity();
  readonly store: ObservedStore;
  readonly #memory = new MemoryStore();
  readonly hosts: readonly SimulatedHost[];
  readonly operations: Operations;
  readonly shared = new SharedPool();
  readonly power: SimulatedPower;
  readonly storage: SimulatedStorage;
  readonly invariants: Invariants;
  /** What is declared beside the model that faults are asked of. */
  readonly alsoDeclared: string;
  /** A role is published, and hosts serve it. */
  readonly edges: boolean;
  /** Clock events so far. */
  events = 0;
  readonly #plan: typeof plan | undefined;
  readonly #limitMs: number;
  readonly #seed: number;
  readonly #network = new HostNetwork({
    hosts: () => this.hosts,
    clock: this.clock,
    random: { between: (from, to) => this.random.between(from, to) },
    note: () => this.activity.note(),
  });
  #fleetRecord = FLEET_RECORD;
  #life: ControllerLife | null = null;

  private constructor(options: SimulationOptions) {
    const { seed, hosts, fence = false } = options;
    this.alsoDeclared = options.alsoDeclared ?? '';
    this.edges = options.edges ?? false;
    this.#plan = options.plan;
    this.#limitMs = options.limitMs ?? 2_700_000;
    this.#seed = seed;
    this.random = options.steady ? new Steady(seed) : new Random(seed);
    this.hosts = hosts.map((shape, index) => this.#host(`h${index + 1}`, shape, options, fence));
    this.invariants = new Invariants(this.hosts, () => this.clock.now());
    this.store = new ObservedStore(this.#memory, this.activity, (transaction, revision) => {
      this.invariants.committed(transaction, revision);
      options.onCommit?.(transaction);
    });
    this.power = new SimulatedPower(this.hosts, this.clock);
    this.storage = new SimulatedStorage(this.shared, this.hosts, this.clock);
    this.operations = createOperations({
      store: this.store,
      catalogue,
      clock: this.clock,
      fleet: { forget: async () => undefined, hosts: () => this.#life?.fleet.hosts() ?? [] },
      fencer: { test: async () => [] },
    });
  }

  static async start(options: SimulationOptions): Promise<Simulation> {
    const simulation = new Simulation(options);
    await simulation.store.transact({
      puts: [
        { key: 'fleet', value: FLEET_RECORD },
        ...simulation.hosts.map(({ name }, index) => ({
          key: `hosts/${name}`,
          value: aHost(name, options.hosts[index], {
            ...{ state: 'joining', facts: null, offer: null, bootId: null },
          }),
        })),
      ],
    });
    await simulation.startController();
    await simulation.run(1_000);
    return simulation;
  }

  get records(): Records {
    return this.invariants.records;
  }

  /** The controller that runs now; null: none. */
  get controller(): ControllerLife | null {
    return this.#life;
  }

  host(name: string): SimulatedHost {
    const host = this.hosts.find((each) => each.name === name);
    if (!host) throw new TypeError(`there is no host ${name}`);
    return host;
  }

  async startController(): Promise<void> {
    if (this.#life) return;
    const { hosts, power, storage, clock, random, activity, store } = this;
    this.#life = await ControllerLife.begin({
      ...{ hosts, power, storage, clock, random, activity, store },
      fleetRecord: this.#fleetRecord,
      plan: this.#plan,
      onViolation: (what) => this.invariants.violated(what),
    });
  }

  /** kill -9, wherever it is. */
  killController(): void {
    this.#life?.kill();
    this.#life = null;
  }

  /** The controller's disk is lost while it is down: an empty store, to which the hosts join again, under the next epoch. */
  async loseStore(): Promise<void> {
    this.killController();
    this.#fleetRecord = { ...this.#fleetRecord, epoch: this.#fleetRecord.epoch + 1 };
    this.invariants.forgetRecords();
    const { entries } = await this.store.list('');
    const kept = (key: string) => key.startsWith('hosts/');
    await this.store.transact({
      puts: [{ key: 'fleet', value: this.#fleetRecord }],
      deletes: entries.map(({ key }) => key).filter((key) => key !== 'fleet' && !kept(key)),
    });
  }

  /** While the controller is down an older copy is put in place of its store, which is noticed when it begins: the next epoch is. */
  async restoreStore(copy: StoreCopy): Promise<void> {
    this.killController();
    this.#fleetRecord = { ...this.#fleetRecord, epoch: this.#fleetRecord.epoch + 1 };
    this.invariants.forgetRecords();
    await this.store.transact(goingBack(await copyOf(this.store), copy, this.#fleetRecord));
  }

  /** The controller is killed in its next transaction: before it arrives, or when it is written and nobody has heard of it. */
  crashInTransaction(moment: 'before' | 'after'): void {
    const life = this.#life;
    life?.store.dieIn(moment, () => {
      if (this.#life === life) this.killController();
    });
  }

  restartAgent(host: SimulatedHost): void {
    host.restartAgent();
    this.#life?.fleet.drop(host);
  }

  /** The agent's state folder is lost while it is down. */
  makeForget(host: SimulatedHost): void {
    host.forgetEverything();
    this.#life?.fleet.drop(host);
  }

  /** Whatever keeps this host from being heard is over; sessions that lost frames begin anew. */
  mend(host: SimulatedHost): void {
    host.resume();
    host.startLibvirt();
    const lost = host.deaf || host.mute;
    Object.assign(host, { cut: false, deaf: false, mute: false, walled: false });
    Object.assign(host.weather, { lateMs: 0, duplicated: false });
    if (lost) this.#life?.fleet.drop(host);
  }

  /** A user's delete, which is the one thing that lets machines' disks go. */
  allowDiskRemoval(ids: readonly string[]): void {
    this.invariants.allowDiskRemoval(ids);
  }

  /** Lets time pass, from event to event. @throws what an invariant says. */
  async run(forMs: number): Promise<void> {
    const untilMs = this.clock.now() + forMs;
    const isOver = () => this.invariants.violations.length > 0;
    this.activity.note();
    this.#check(await this.activity.settled(isOver));
    while (this.clock.fireNext(untilMs)) {
      this.events++;
      this.#check(await this.activity.settled(isOver));
      if (this.events % (EVENTS_OF_A_HOST * this.hosts.length) === 0) await this.#checkAll();
    }
  }

  /** Lets time pass until this holds. */
  async until(what: string, holds: (records: Records) => boolean, limitMs = this.#limitMs): Promise<Records> {
    let looked = -1;
    for (let passed = 0; ; passed += 1_000) {
      const { changes } = this.invariants;
      if (changes !== looked && holds(this.records)) {
        await this.#checkAll();
        return this.records;
      }
      looked = changes;
      if (passed >= limitMs)
        throw new Error(`seed ${this.#seed}: waited in vain for ${what}\n${describeFabric(this)}`);
      await this.run(1_000);
    }
  }

  /** Everything back everywhere, for good: a host may have been cut off by its fence device just when it was mended. */
  async mendAll(): Promise<void> {
    do {
      await this.#mendOnce();
      await this.run(5_000);
    } while (this.hosts.some(({ powered }) => !powered));
  }

  /** Power, fence devices and network, a controller, nobody drained, room in every pool. */
  async #mendOnce(): Promise<void> {
    this.power.broken.clear();
    this.storage.broken = false;
    this.#life?.store.dieIn(null);
    this.#life?.resume();
    for (const host of this.hosts) {
      this.mend(host);
      host.skewMs = 0;
      host.fillPool(false);
      host.powerOn();
      await this.operations.setDraining(host.name, false);
    }
    await this.startController();
  }

  #host(name: string, shape: HostShape, options: SimulationOptions, fence: boolean): SimulatedHost {
    return new SimulatedHost({
      name,
      shape: {
        ...shape,
        ...(fence ? { fence: [deviceOf(name)] } : {}),
        underlay: underlayOf(name),
        edge: this.edges,
      },
      ...{ shared: this.shared, clock: this.clock, random: this.random },
      failureRate: options.failureRate ?? 0,
      listens: options.listens ?? false,
      network: this.#network,
      leavesBeats: options.leavesBeats ?? false,
      ...(options.hostMutation === undefined ? {} : { mutation: options.hostMutation }),
      onMachineDiskRemoved: (id, disk) => this.invariants.diskRemoved(id, disk),
      onChange: (host) => {
        this.invariants.hostChanged(host);
        options.onHostChange?.(host);
      },
      onNetwork: (host) => this.invariants.networkApplied(host),
      onOffer: (host) => this.#life?.fleet.greet(host),
      onLink: (host) => this.#life?.fleet.follow(host),
      isLocked: (vmId, than) =>
        this.hosts.some(
          // Of a disk on another host's own pool nobody here sees a lock.
          (host) => host !== than && (host.domains.get(vmId)?.pool ?? 'local') !== 'local',
        ),
      highestRun: (vmId) => this.invariants.highestRun(vmId),
      dial: (host, path) =>
        this.#life?.lines.dial(host, path) ??
        Promise.reject(new WeftError('host-unreachable', 'there is no controller')),
      note: () => this.activity.note(),
    });
  }

  /** What the checks remember is compared with what is there. */
  async #checkAll(): Promise<void> {
    const wrong = await fullCheck(
      this.#memory,
      this.invariants.hosts,
      this.records,
      this.invariants.contents,
    );
    for (const what of wrong) this.invariants.violated(what);
    this.#check(true);
  }

  #check(isAtRest: boolean): void {
    if (this.#life?.store.spinning || !isAtRest)
      this.invariants.violated('the controller spins: it plans again without having looked');
    const { violations } = this.invariants;
    if (violations.length > 0)
      throw new Error(
        `seed ${this.#seed}, at ${this.clock.now()} ms:\n${violations.slice(0, 20).join('\n')}\n${describeFabric(this)}`,
      );
  }
}
