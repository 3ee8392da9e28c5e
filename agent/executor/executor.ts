import type { DomainEvent } from '../hypervisor/driver.ts';
import type { Timer } from '../kit/clock.ts';
import { Passes } from '../kit/passes.ts';
import type { Goal, NetworkGoal, Report, VmGoal } from '../protocol/index.ts';
import { BootSlots } from './boot-slots.ts';
import { Failures } from './failures.ts';
import { domainName, networkName } from './names.ts';
import { GoalNetworks } from './networks.ts';
import { type ExecutorOptions, withoutLease } from './options.ts';
import { nextLookMs, type Observed, type PlanOptions, plan } from './plan.ts';
import { Prefetch } from './prefetch.ts';
import { Sightings } from './sightings.ts';
import { StepQueues } from './step-queues.ts';
import { execute, type StepContext } from './steps.ts';
import { GoalVms } from './vms.ts';

/** A pass that failed (libvirt away, for example) is tried again after this long even if nothing happens. */
const RETRY_MS = 1_000;

/**
 * Makes the host what the newest goal says. A pass looks at what there is, plans, and hands each step to its VM's own queue;
 * passes are made when something happened (a goal, an event of a domain, a step's end), never on a timer alone.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #networks: GoalNetworks;
  readonly #prefetch: Prefetch;
  readonly #vms: GoalVms;
  readonly #queues: StepQueues;
  readonly #sightings = new Sightings();
  readonly #stop = new AbortController();
  readonly #stopListening: () => void;
  readonly #passes = new Passes(
    () => this.#run(),
    () => this.#stop.signal.aborted,
  );
  #look: Timer | null = null;

  constructor(options: ExecutorOptions) {
    const { clock, driver, fleet } = options;
    this.#options = options;
    this.#vms = new GoalVms(clock);
    this.#prefetch = new Prefetch(options.cache, clock, options.log);
    this.#networks = new GoalNetworks(driver, options.network, fleet, () => this.wake());
    const failures = new Failures(options, this.#vms, (key) => this.#queues.hold(key));
    const context: StepContext = {
      options,
      vms: this.#vms,
      networks: this.#networks,
      slots: new BootSlots(options.boots, clock),
      failures,
      wake: () => this.wake(),
      isClosed: () => this.#stop.signal.aborted,
    };
    this.#queues = new StepQueues({
      parallel: options.parallel,
      clock,
      execute: (step, place) => execute(context, step, place),
      onFailed: async (step, error) => {
        if (!context.isClosed()) await failures.onStep(step, error);
      },
      onEnd: () => {
        options.onChange();
        this.wake();
      },
      onFree: () => this.wake(),
    });
    this.#stopListening = driver.onEvent((event) => this.#onEvent(event));
  }

  /** Takes a goal in. One of another fleet, an older epoch or an older revision is refused. */
  setGoal(goal: Goal): void {
    const { fleet, log } = this.#options;
    if (goal.fleet !== fleet) {
      log.warn({ fleet: goal.fleet }, 'a goal of another fleet was refused');
      return;
    }
    const now = this.goal;
    if (now && (goal.epoch < now.epoch || (goal.epoch === now.epoch && goal.revision < now.revision))) {
      log.warn({ epoch: goal.epoch, revision: goal.revision }, 'an old goal was refused');
      return;
    }
    this.#networks.apply(goal);
    this.#prefetch.follow(goal.prefetch);
    this.#vms.follow(goal);
    this.wake();
  }

  /** Something may have to be done. Cheap to call often. */
  wake(): void {
    this.#passes.wake();
  }

  report(): Pick<Report, 'revisionSeen' | 'epochSeen' | 'vms' | 'strangers' | 'leaving'> {
    return { vms: this.#vms.reports(), ...this.#sightings.report() };
  }

  /** The newest goal that was taken in; null: none yet. */
  get goal(): Goal | null {
    return this.#vms.goal;
  }

  /** Ids of the VMs that are worked on at this moment. */
  busyVms(): ReadonlySet<string> {
    return this.#queues.busyVms();
  }

  /** The goal of a VM, for streams into it. */
  vm(vmId: string): VmGoal | null {
    return this.#vms.find(vmId);
  }

  /** Resolves with the subnet of a VM of the goal, or of one that comes, when it stands on this host. */
  async readyNetwork(vm: VmGoal): Promise<NetworkGoal> {
    const network = this.#vms.networkOf(vm);
    await this.#networks.ready(network);
    return network;
  }

  /** These bridges of guests' networks were looked for and not found: what somebody has deleted is made again, while guests run. */
  remakeBridges(missing: readonly string[]): void {
    const bridges = this.#networks.remake(missing);
    if (bridges.length > 0)
      this.#options.log.warn({ bridges }, 'bridges of guests’ networks are gone; they are made again');
  }

  /** Whether libvirt is just making this bridge. */
  isMakingBridge(bridge: string): boolean {
    return this.#networks.isMaking(bridge);
  }

  /** Stops working; what runs goes on running. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#stopListening();
    this.#look?.cancel();
    this.#prefetch.close();
    this.#vms.end();
    await this.#passes.running;
  }

  async #run(): Promise<void> {
    const { goal } = this;
    if (!goal) return;
    try {
      await this.#onePass(goal);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'could not look at this host; trying again');
      this.#lookAt(this.#options.clock.now() + RETRY_MS);
    }
  }

  async #onePass(goal: Goal): Promise<void> {
    const { clock, driver, disks, folders } = this.#options;
    // Taken before the look: what is being made while this looks is told as being made.
    const busy = this.busyVms();
    const [domains, networks, diskViews, folderIds] = await Promise.all([
      driver.listDomains(),
      driver.listNetworks(),
      // A machine may be deleted here before it was ever started here: its disk is still another host's.
      disks.list(new Set(goal.tombstones.map(({ id }) => id))),
      folders.list(),
    ]);
    const present = { domains, disks: diskViews, folders: folderIds };
    const nowMs = clock.now();
    this.#note(goal, present, busy, nowMs);
    const observed: Observed = {
      ...present,
      networks,
      unnamedSinceMs: this.#sightings.unnamedSinceMs,
      memory: this.#vms.memory(),
    };
    const options: PlanOptions = {
      reapAfterMs: this.#options.reapAfterMs,
      unreadyLimitMs: this.#options.unreadyLimitMs,
      withoutLease: withoutLease(this.#options.lease),
      networkNames: new Set(goal.networks.map((network) => networkName(goal.fleet, network))),
    };
    const steps = (this.#options.plan ?? plan)(goal, observed, nowMs, options);
    for (const step of steps) this.#queues.dispatch(step);
    const next = nextLookMs(observed, nowMs, options);
    if (next !== null) this.#lookAt(next);
  }

  #note(
    goal: Goal,
    present: Pick<Observed, 'domains' | 'disks' | 'folders'>,
    busy: ReadonlySet<string>,
    nowMs: number,
  ): void {
    const news = [
      this.#vms.noteNewer(present.domains),
      this.#vms.noteStopped(goal, present.domains, busy),
      this.#sightings.note(goal, present, busy, nowMs),
    ];
    if (news.includes(true)) this.#options.onChange();
  }

  #lookAt(timeMs: number): void {
    this.#look?.cancel();
    this.#look = this.#options.clock.after(Math.max(1, timeMs - this.#options.clock.now()), () =>
      this.wake(),
    );
  }

  #onEvent(event: DomainEvent): void {
    if (event.type === 'connected') this.#networks.forget();
    if ('name' in event) this.#hint(event);
    this.wake();
  }

  #hint(event: DomainEvent & { readonly name: string }): void {
    const vm = this.goal?.vms.find((each) => domainName(this.#options.fleet, each.id) === event.name);
    if (!vm) return;
    if (event.type === 'guest-agent' || event.type === 'reboot') this.#options.guest.hint(vm.id);
    // Of a guest that went down, crashed or hangs, the domain's state tells the pass that follows.
    const state = this.#vms.livingStateOf(vm);
    if (event.type !== 'reboot' || !state?.alive) return;
    state.wasReset('it reset itself', vm.kind !== 'machine');
    this.#options.onChange();
  }
}
