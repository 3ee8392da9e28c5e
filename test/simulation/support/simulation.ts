import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import type { FleetRecord, ImageRecord } from '../../../controller/model/index.ts';
import { createOperations, type Operations } from '../../../controller/operations/index.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import type { plan } from '../../../controller/reconciler/plan.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHost, type HostShape } from '../../support/builders/host.ts';
import { type History, INVARIANTS, type Records, recordsOf } from './invariants.ts';
import { KillableStore } from './killable-store.ts';
import { Random } from './random.ts';
import { SharedPool } from './shared-pool.ts';
import { SimulatedFleet } from './simulated-fleet.ts';
import { type HostMutation, SimulatedHost } from './simulated-host.ts';
import { deviceOf, SimulatedPower } from './simulated-power.ts';

const FLEET_RECORD: FleetRecord = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };
const STEP_MS = 250;

const IMAGE: ImageRecord = {
  name: 'tiny',
  version: '1',
  goal: aVmGoal().image,
  virtualSizeBytes: 1,
  sizeBytes: 1,
  sourceFormat: 'qcow2',
  createdAtMs: 0,
  sshKeySecret: null,
};

/** Knows every reference as the tiny image. */
const catalogue = { resolve: async () => IMAGE } as unknown as Catalogue;
const secrets = { remove: async () => undefined } as unknown as SecretsStore;

/** One controller process. */
interface Life {
  readonly store: KillableStore;
  readonly fleet: SimulatedFleet;
  readonly reconciler: Reconciler;
  readonly fencer: DeviceFencer;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly hosts: readonly HostShape[];
  readonly failureRate?: number;
  /** How long is waited for an end, virtual ms. */
  readonly limitMs?: number;
  /** Every host can be switched off by a fence device of its own. */
  readonly fence?: boolean;
  /** Breaks a rule of every agent on purpose. */
  readonly hostMutation?: HostMutation;
  /** Breaks the controller on purpose: what is planned instead. */
  readonly plan?: typeof plan;
}

/** A fabric under virtual time: the real reconciler, operations and memory store over simulated hosts. */
export class Simulation {
  readonly clock = new VirtualClock(1_000_000);
  readonly random: Random;
  readonly store = new MemoryStore();
  readonly hosts: readonly SimulatedHost[];
  readonly operations: Operations;
  readonly shared = new SharedPool();
  readonly power: SimulatedPower;
  readonly #plan: typeof plan | undefined;
  readonly #limitMs: number;
  readonly #history: History = {
    incarnations: new Map(),
    createdAtMs: new Map(),
    machineHosts: new Map(),
    last: new Map(),
  };
  readonly #seed: number;
  readonly #deletedByUser = new Set<string>();
  readonly #violations: string[] = [];
  #fleetRecord = FLEET_RECORD;
  #life: Life | null = null;

  private constructor(options: SimulationOptions) {
    const { seed, hosts, failureRate = 0, fence = false, hostMutation } = options;
    this.#plan = options.plan;
    this.#limitMs = options.limitMs ?? 900_000;
    this.#seed = seed;
    this.random = new Random(seed);
    this.hosts = hosts.map(
      (shape, index) =>
        new SimulatedHost({
          name: `h${index + 1}`,
          shape: fence ? { ...shape, fence: [deviceOf(`h${index + 1}`)] } : shape,
          shared: this.shared,
          ...(hostMutation === undefined ? {} : { mutation: hostMutation }),
          clock: this.clock,
          random: this.random,
          failureRate,
          onMachineDiskRemoved: (id) => {
            if (!this.#deletedByUser.has(id))
              this.#violations.push(`the disk of ${id} went without a user’s delete`);
          },
        }),
    );
    this.power = new SimulatedPower(this.hosts, this.clock);
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
            state: 'joining',
            facts: null,
            offer: null,
            bootId: null,
          }),
        })),
      ],
    });
    await simulation.startController();
    await simulation.run(1_000);
    return simulation;
  }

  async startController(): Promise<void> {
    if (this.#life) return;
    const store = new KillableStore(this.store);
    const fleet = new SimulatedFleet(this.hosts, this.clock, this.random);
    const events = new EventLog();
    await events.open(store);
    const log = createLogger('simulation', process.env.WEFT_LOG_LEVEL ?? 'silent');
    const fencer = new DeviceFencer({ store, runner: this.power, clock: this.clock, log });
    const reconciler = new Reconciler({
      fencer,
      ...(this.#plan === undefined ? {} : { plan: this.#plan }),
      fleetRecord: this.#fleetRecord,
      store,
      fleet,
      catalogue,
      secrets,
      events,
      clock: this.clock,
      log,
    });
    await reconciler.start();
    this.#life = { store, fleet, reconciler, fencer };
  }

  /** kill -9, wherever it is. */
  killController(): void {
    this.#life?.store.kill();
    this.#life?.fleet.close();
    void this.#life?.reconciler.stop();
    void this.#life?.fencer.close();
    this.#life = null;
  }

  /** The controller's disk is lost while it is down: an empty store, to which the hosts join again, under the next epoch. */
  async loseStore(): Promise<void> {
    this.killController();
    this.#fleetRecord = { ...this.#fleetRecord, epoch: this.#fleetRecord.epoch + 1 };
    this.#history.incarnations.clear();
    this.#history.createdAtMs.clear();
    this.#history.machineHosts.clear();
    this.#history.last.clear();
    const { entries } = await this.store.list('');
    const kept = (key: string) => key.startsWith('hosts/');
    await this.store.transact({
      puts: [{ key: 'fleet', value: this.#fleetRecord }],
      deletes: entries.map(({ key }) => key).filter((key) => key !== 'fleet' && !kept(key)),
    });
  }

  restartAgent(host: SimulatedHost): void {
    host.restartAgent();
    this.#life?.fleet.drop(host);
  }

  /** Whatever keeps this host from being heard is over; sessions that lost frames begin anew. */
  mend(host: SimulatedHost): void {
    host.resume();
    host.cut = false;
    const lost = host.deaf || host.mute;
    Object.assign(host, { deaf: false, mute: false });
    if (lost) this.#life?.fleet.drop(host);
  }

  /** A user's delete, which is the one thing that lets machines' disks go. */
  allowDiskRemoval(ids: readonly string[]): void {
    for (const id of ids) this.#deletedByUser.add(id);
  }

  /** Lets time pass, and checks every invariant after each step. */
  async run(forMs: number): Promise<void> {
    for (let passed = 0; passed < forMs; passed += STEP_MS) {
      this.#life?.fleet.tick();
      await this.clock.advance(STEP_MS);
      await settle();
      await this.#check();
    }
  }

  /** Lets time pass until this holds. */
  async until(what: string, holds: (records: Records) => boolean, limitMs = this.#limitMs): Promise<Records> {
    for (let passed = 0; ; passed += 1_000) {
      const records = await this.records();
      if (holds(records)) return records;
      if (passed >= limitMs)
        throw new Error(`seed ${this.#seed}: waited in vain for ${what}\n${await this.describe()}`);
      await this.run(1_000);
    }
  }

  async records(): Promise<Records> {
    return recordsOf((await this.store.list('')).entries);
  }

  /** Power, fence devices and network back everywhere, a controller, nobody drained. */
  async mendAll(): Promise<void> {
    this.power.broken.clear();
    for (const host of this.hosts) {
      this.mend(host);
      host.powerOn();
      await this.operations.setDraining(host.name, false);
    }
    await this.startController();
  }

  async describe(): Promise<string> {
    const { vms, hosts, claims, keys } = await this.records();
    return [
      ...hosts.map(
        ({ name, state, draining, superseded }) =>
          `${name} ${state}${draining ? ' draining' : ''} superseded ${JSON.stringify(superseded)}`,
      ),
      `shared ${JSON.stringify([...this.shared.owners])}`,
      ...vms.map(
        (vm) =>
          `${vm.id}@${vm.incarnation} ${vm.state} on ${vm.host}${vm.deleting ? ' deleting' : ''} ${vm.failure?.message ?? ''}`,
      ),
      ...this.hosts.map(
        (host) =>
          `${host.name} has ${[...host.domains.values()].map(({ vmId, incarnation }) => `${vmId}@${incarnation}`).join(' ')} | ${[...host.overlays].join(' ')} | ${[...host.machineDisks].join(' ')}`,
      ),
      `claims ${JSON.stringify([...claims].map(([host, { vms: claimed }]) => [host, Object.keys(claimed)]))}`,
      `keys ${keys.filter((key) => !key.startsWith('events/')).join(' ')}`,
    ].join('\n');
  }

  async #check(): Promise<void> {
    const records = await this.records();
    const found = Object.entries(INVARIANTS).flatMap(([name, invariant]) =>
      invariant(records, this.hosts, this.#history).map((violation) => `${name}: ${violation}`),
    );
    if (this.#life?.store.spinning) found.push('the controller spins: it plans again without having looked');
    found.push(...this.#violations);
    if (found.length > 0)
      throw new Error(
        `seed ${this.#seed}, at ${this.clock.now()} ms:\n${found.join('\n')}\n${await this.describe()}`,
      );
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}
