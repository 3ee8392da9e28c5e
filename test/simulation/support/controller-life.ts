import type { Clock } from '../../../agent/kit/clock.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import type { Catalogue } from '../../../controller/catalogue/contract.ts';
import { DeviceFencer } from '../../../controller/fencing/fencer.ts';
import type { SecretsStore } from '../../../controller/fleet/secrets-contract.ts';
import type { FleetRecord, ImageRecord } from '../../../controller/model/index.ts';
import { EventLog, Reconciler } from '../../../controller/reconciler/index.ts';
import { plan } from '../../../controller/reconciler/plan.ts';
import type { Store } from '../../../controller/store/contract.ts';
import { aVmGoal } from '../../support/builders/goal.ts';
import { HostClock, type HostTime } from './host-clock.ts';
import { unsettledBy } from './invariants/settled-plans.ts';
import { KillableStore } from './killable-store.ts';
import { MigrationLines } from './migration/lines.ts';
import type { Random } from './random.ts';
import type { Activity } from './settle.ts';
import { SimulatedFleet } from './simulated-fleet.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { SimulatedPower } from './simulated-power.ts';
import type { SimulatedStorage } from './storage/simulated-storage.ts';

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
export const catalogue = { resolve: async () => IMAGE } as unknown as Catalogue;
const secrets = { remove: async () => undefined } as unknown as SecretsStore;
const log = createLogger('simulation', process.env.WEFT_LOG_LEVEL ?? 'silent');

/** One of so many plans is looked into: whether it leaves nothing to do, when it says so. */
const PLANS_FOR_A_LOOK = 20;

export interface ControllerOptions {
  readonly store: Store;
  readonly fleetRecord: FleetRecord;
  readonly hosts: readonly SimulatedHost[];
  readonly power: SimulatedPower;
  readonly storage: SimulatedStorage;
  readonly clock: Clock;
  readonly random: Random;
  readonly activity: Activity;
  readonly onViolation: (what: string) => void;
  /** What is planned instead. */
  readonly plan: typeof plan | undefined;
}

/** One process of the controller: the real reconciler and fencer over simulated sessions. */
export class ControllerLife {
  readonly store: KillableStore;
  readonly fleet: SimulatedFleet;
  readonly lines: MigrationLines;
  readonly #time: HostTime = { paused: false, skewMs: 0, waiting: [] };
  readonly #clock: HostClock;
  readonly #reconciler: Reconciler;
  readonly #fencer: DeviceFencer;
  #plans = 0;

  private constructor(options: ControllerOptions, events: EventLog, store: KillableStore) {
    const { power, storage, fleetRecord, activity, random } = options;
    this.store = store;
    this.#clock = new HostClock(options.clock, this.#time);
    const clock = this.#clock;
    this.fleet = new SimulatedFleet(options.hosts, options.clock, options.random);
    this.lines = new MigrationLines({
      ...{ store, fleet: this.fleet, clock: options.clock, ownClock: clock, random, activity },
    });
    this.#fencer = new DeviceFencer({ store, runner: power, storage, clock, log });
    this.#reconciler = new Reconciler({
      ...{
        fencer: this.#fencer,
        fleetRecord,
        store,
        fleet: this.fleet,
        catalogue,
        secrets,
        events,
        clock,
        log,
      },
      plan: (world, nowMs, settings) => {
        activity.note();
        if (options.plan) return options.plan(world, nowMs, settings);
        const planned = plan(world, nowMs, settings);
        const unsettled =
          this.#plans++ % PLANS_FOR_A_LOOK === 0 ? unsettledBy(world, nowMs, settings, planned) : null;
        if (unsettled !== null) options.onViolation(unsettled);
        return planned;
      },
    });
  }

  static async begin(options: ControllerOptions): Promise<ControllerLife> {
    const store = new KillableStore(options.store);
    const events = new EventLog();
    await events.open(store);
    const life = new ControllerLife(options, events, store);
    await life.#reconciler.start();
    return life;
  }

  /** SIGSTOP: whatever comes and falls due waits. */
  pause(): void {
    this.#time.paused = true;
    this.fleet.pause();
  }

  resume(): void {
    if (!this.#time.paused) return;
    this.#time.paused = false;
    for (const action of this.#time.waiting.splice(0)) action();
    this.fleet.resume();
  }

  /** kill -9, wherever it is. */
  kill(): void {
    this.store.kill();
    this.#clock.kill();
    this.fleet.close();
    this.lines.close();
    void this.#reconciler.stop();
    void this.#fencer.close();
  }
}
