import type { BlobCache, Disks, DiskView } from '../disks/contract.ts';
import type { GuestSupervisor } from '../guest/contract.ts';
import type { DomainEvent, DomainView, HypervisorDriver } from '../hypervisor/driver.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner, type Place } from '../kit/exclusive-runner.ts';
import type { Logger } from '../kit/log.ts';
import type { HostNetwork } from '../network/contract.ts';
import type { Goal, NetworkGoal, Report, VmGoal } from '../protocol/index.ts';
import type { ControllerLink } from '../session/contract.ts';
import { BootSlots } from './boot-slots.ts';
import { readConsoleTail } from './console-tail.ts';
import { domainName, networkName } from './names.ts';
import { GoalNetworks } from './networks.ts';
import type { AgentPaths } from './paths.ts';
import {
  leaving,
  nextLookMs,
  type Observed,
  type PlanOptions,
  plan,
  type Step,
  type StepArguments,
  type StepKind,
  unnamed,
} from './plan.ts';
import { examine } from './post-mortem.ts';
import { Prefetch } from './prefetch.ts';
import { type ProvisionDependencies, provision } from './provision.ts';
import { Strangers } from './strangers.ts';
import type { VmFolders } from './vm-folders.ts';
import { VmState } from './vm-state.ts';

export interface ExecutorOptions {
  readonly fleet: string;
  readonly driver: HypervisorDriver;
  readonly disks: Disks;
  readonly cache: BlobCache;
  readonly network: HostNetwork;
  readonly guest: GuestSupervisor;
  readonly link: ControllerLink;
  readonly seed: Pick<ProvisionDependencies, 'composeSeed' | 'writeSeedIso'>;
  readonly paths: AgentPaths;
  readonly folders: VmFolders;
  readonly readBackup?: ProvisionDependencies['readBackup'];
  readonly clock: Clock;
  readonly log: Logger;
  /** How long an instance of ours that the goal does not name is left in quarantine. */
  readonly reapAfterMs: number;
  /** VMs worked on at once. */
  readonly parallel: number;
  /** A guest whose probe fails for so long, after it had passed, is started again. */
  readonly unreadyLimitMs: number;
  /** Guests that boot at once. */
  readonly boots: number;
  /** Of a host with a guard; absent: machines need no lease. */
  readonly lease?: HostLease;
  /** What is reported has changed. */
  readonly onChange: () => void;
  /** Another planner in place of the real one. */
  readonly plan?: typeof plan;
  /** Another reader of console logs in place of the real one. */
  readonly readConsole?: typeof readConsoleTail;
}

/** Without it a host with a guard starts no machine on a pool that it shares. */
export interface HostLease {
  readonly sharedPools: ReadonlySet<string>;
  isHeld(): boolean;
  /** Whether the guard stopped this domain; each time is told once. */
  takeStopped(domain: string): boolean;
}

type Executors = { readonly [Kind in StepKind]: (step: StepArguments[Kind], place: Place) => Promise<void> };

const STOP_GRACE_MS = 60_000;
/** A pass that failed (libvirt away, for example) is tried again after this long even if nothing happens. */
const RETRY_MS = 1_000;

/**
 * Makes the host what the newest goal says. A pass looks at what there is, plans, and hands each step to its VM's own queue;
 * passes are made when something happened (a goal, an event of a domain, a step's end), never on a timer alone.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #runner: ExclusiveRunner;
  readonly #networks: GoalNetworks;
  readonly #slots: BootSlots;
  readonly #prefetch: Prefetch;
  readonly #strangers = new Strangers();
  readonly #vms = new Map<string, VmState>();
  readonly #busy = new Set<string>();
  /** Queues whose step has just failed: not planned again before a little while has passed. */
  readonly #held = new Set<string>();
  readonly #unnamedSinceMs = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #stopListening: () => void;
  #goal: Goal | null = null;
  /** Revision of the goal that the host was last looked at with, and what was then on its way out. */
  #looked: { readonly revision: number; readonly leaving: readonly string[] } = { revision: 0, leaving: [] };
  #pass: Promise<void> | null = null;
  #again = false;
  #look: Timer | null = null;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#runner = new ExclusiveRunner(options.parallel);
    this.#slots = new BootSlots(options.boots, options.clock);
    this.#prefetch = new Prefetch(options.cache, options.clock, options.log);
    this.#networks = new GoalNetworks(options.driver, options.network, options.fleet, () => this.wake());
    this.#stopListening = options.driver.onEvent((event) => this.#onEvent(event));
  }

  /** Takes a goal in. One of another fleet, an older epoch or an older revision is refused. */
  setGoal(goal: Goal): void {
    const { fleet, log } = this.#options;
    if (goal.fleet !== fleet) {
      log.warn({ fleet: goal.fleet }, 'a goal of another fleet was refused');
      return;
    }
    const now = this.#goal;
    if (now && (goal.epoch < now.epoch || (goal.epoch === now.epoch && goal.revision < now.revision))) {
      log.warn({ epoch: goal.epoch, revision: goal.revision }, 'an old goal was refused');
      return;
    }
    this.#goal = goal;
    this.#networks.apply(goal.networks);
    this.#prefetch.follow(goal.prefetch);
    for (const vm of goal.vms) this.#stateOf(vm);
    for (const [id, state] of this.#vms) {
      const vm = goal.vms.find((each) => each.id === id);
      if (vm?.power === 'stopped') state.stopped();
      if (vm) continue;
      state.end();
      this.#vms.delete(id);
    }
    this.wake();
  }

  /** Something may have to be done. Cheap to call often. */
  wake(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#pass) {
      this.#again = true;
      return;
    }
    this.#pass = this.#run().finally(() => {
      this.#pass = null;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }

  report(): Pick<Report, 'revisionSeen' | 'vms' | 'strangers' | 'leaving'> {
    return {
      revisionSeen: this.#looked.revision,
      vms: [...this.#vms.values()].map((state) => state.report()),
      strangers: [...this.#strangers.list()],
      leaving: [...this.#looked.leaving],
    };
  }

  /** The newest goal that was taken in; null: none yet. */
  get goal(): Goal | null {
    return this.#goal;
  }

  /** Ids of the VMs that are worked on at this moment. */
  busyVms(): ReadonlySet<string> {
    return new Set([...this.#busy].filter((key) => !isNetwork(key)));
  }

  /** The goal of a VM, for streams into it. */
  vm(vmId: string): VmGoal | null {
    return this.#goal?.vms.find((each) => each.id === vmId) ?? null;
  }

  /** Resolves with the subnet of a VM of the goal, or of one that comes, when it stands on this host. */
  async readyNetwork(vm: VmGoal): Promise<NetworkGoal> {
    const network = this.#networkOf(vm);
    await this.#networks.ready(network);
    return network;
  }

  /** Stops working; what runs goes on running. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#stopListening();
    this.#look?.cancel();
    this.#prefetch.close();
    for (const state of this.#vms.values()) state.end();
    await this.#pass;
  }

  async #run(): Promise<void> {
    const goal = this.#goal;
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
    this.#quarantine(unnamed(goal, present), nowMs);
    const before = JSON.stringify([this.#looked, this.#strangers.list()]);
    this.#strangers.update(goal, domains, diskViews);
    const newerChanged = this.#noteNewer(domains);
    this.#noteStopped(goal, domains, busy);
    this.#looked = { revision: goal.revision, leaving: leaving(goal, present, busy) };
    if (newerChanged || JSON.stringify([this.#looked, this.#strangers.list()]) !== before)
      this.#options.onChange();
    const observed: Observed = {
      ...present,
      networks,
      unnamedSinceMs: this.#unnamedSinceMs,
      memory: new Map(
        [...this.#vms].map(([id, state]) => [
          id,
          {
            incarnation: state.incarnation,
            failed: state.phase === 'failed',
            supervised: state.supervision !== null,
            alive: state.alive,
            unreadySinceMs: state.unreadySinceMs,
            condemned: state.condemned,
            notBeforeMs: state.notBeforeMs,
          },
        ]),
      ),
    };
    const options: PlanOptions = {
      reapAfterMs: this.#options.reapAfterMs,
      unreadyLimitMs: this.#options.unreadyLimitMs,
      withoutLease: this.#withoutLease(),
      networkNames: new Set(goal.networks.map((network) => networkName(goal.fleet, network))),
    };
    const steps = (this.#options.plan ?? plan)(goal, observed, nowMs, options);
    for (const step of steps) this.#dispatch(step);
    const next = nextLookMs(observed, nowMs, options);
    if (next !== null) this.#lookAt(next);
  }

  #withoutLease(): ReadonlySet<string> {
    const { lease } = this.#options;
    return lease && !lease.isHeld() ? lease.sharedPools : new Set();
  }

  /** The lease may have run out while the machine was made ready. */
  #requireLease({ id, kind, pool }: VmGoal): void {
    if (kind !== 'machine' || !this.#withoutLease().has(pool)) return;
    throw new WeftError(
      'host-unreachable',
      `${id} is not started: this host holds no lease for pool ${pool}`,
    );
  }

  /** What runs here at a newer incarnation than the goal's is left alone and told. @returns whether there is something new to tell. */
  #noteNewer(domains: readonly DomainView[]): boolean {
    let changed = false;
    for (const [id, state] of this.#vms) {
      const found = domains.find(({ mark }) => mark?.id === id)?.mark?.incarnation ?? 0;
      const newer = found > state.incarnation ? found : null;
      if (newer !== state.newerFound) changed = true;
      state.newerFound = newer;
    }
    return changed;
  }

  /**
   * What is to be off is `stopped` only when it was seen to be, with nothing on its way that might start it: the controller
   * takes this for a proof, and starts it elsewhere.
   */
  #noteStopped(goal: Goal, domains: readonly DomainView[], busy: ReadonlySet<string>): void {
    for (const vm of goal.vms) {
      const state = this.#vms.get(vm.id);
      if (vm.power !== 'stopped' || state?.incarnation !== vm.incarnation) continue;
      const domain = domains.find(({ mark }) => mark?.id === vm.id);
      const phase = busy.has(vm.id) || (domain && domain.state !== 'shut-off') ? 'stopping' : 'stopped';
      if (state.phase === phase) continue;
      state.phase = phase;
      this.#options.onChange();
    }
  }

  #quarantine(keys: readonly string[], nowMs: number): void {
    const present = new Set(keys);
    for (const key of this.#unnamedSinceMs.keys()) if (!present.has(key)) this.#unnamedSinceMs.delete(key);
    for (const key of keys) if (!this.#unnamedSinceMs.has(key)) this.#unnamedSinceMs.set(key, nowMs);
  }

  #lookAt(timeMs: number): void {
    this.#look?.cancel();
    this.#look = this.#options.clock.after(Math.max(1, timeMs - this.#options.clock.now()), () =>
      this.wake(),
    );
  }

  /** One step of a VM at a time; the next pass plans what follows from what is then there. */
  #dispatch(step: Step): void {
    const key = keyOf(step);
    if (this.#busy.has(key) || this.#held.has(key)) return;
    this.#busy.add(key);
    void this.#runner
      .run(key, (place) => this.#execute(step, place))
      .catch((error: unknown) => this.#onStepFailed(step, WeftError.from(error)))
      .finally(() => {
        this.#busy.delete(key);
        this.#options.onChange();
        this.wake();
      });
  }

  /** The table derives from the union: a step that nobody executes does not compile. */
  readonly #executors: Executors = {
    provision: ({ vm }, place) => this.#provision(vm, place),
    supervise: async ({ vm }) => this.#supervise(vm),
    examine: (step) => this.#examine(step),
    reboot: ({ vm }) => this.#reboot(vm),
    stop: ({ vm }) => this.#stopVm(vm),
    retire: ({ domain }) => this.#options.driver.removeDomain(domain),
    discard: ({ vmId, disk }) => this.#discard(vmId, disk),
    bury: ({ vmId, disk }) => this.#bury(vmId, disk),
    sweep: ({ vmId }) => this.#options.folders.remove(vmId),
    'remove-network': async ({ network }) => {
      await this.#options.driver.removeNetwork(network);
      this.#networks.forget();
    },
  };

  #execute(step: Step, place: Place): Promise<void> {
    // The kind picks the executor of its own arguments; the compiler cannot follow a union through the table.
    return (this.#executors[step.kind] as (step: Step, place: Place) => Promise<void>)(step, place);
  }

  async #provision(vm: VmGoal, place: Place): Promise<void> {
    if (!this.#isNewest(vm) || this.vm(vm.id)?.power === 'stopped') return;
    const { link, paths, folders, disks, cache, driver, seed, fleet, readBackup } = this.#options;
    const state = this.#stateOf(vm);
    try {
      await provision(
        {
          driver,
          disks,
          cache,
          paths,
          folders,
          ...(readBackup ? { readBackup } : {}),
          // Not in a place of the runner's: those are for who has something to do.
          takeSlot: (signal, onWait) => place.aside(() => this.#slots.take(signal, onWait)),
          ...seed,
          beforeStart: (each) => this.#requireLease(each),
          fetchSecrets: (wanted, signal) =>
            state.secrets(() => link.fetchSecrets(wanted.id, wanted.incarnation, signal)),
          networkReady: (network) => this.#networks.ready(network),
        },
        fleet,
        vm,
        this.#networkOf(vm),
        state,
        state.life,
        this.#options.onChange,
      );
    } catch (error) {
      state.giveSlotBack();
      throw error;
    }
    state.rebootGeneration = vm.rebootGeneration;
    this.#supervise(vm);
    if (!state.supervision) state.giveSlotBack();
  }

  /** Begins to watch the guest; goes on beside the queue until the VM is superseded, stopped or down. */
  #supervise(vm: VmGoal): void {
    const { guest, link, fleet, onChange } = this.#options;
    const state = this.#stateOf(vm);
    if (!this.#isNewest(vm) || state.supervision || state.phase === 'failed') return;
    const supervision = state.beginSupervision();
    const { signal } = supervision;
    // Watching that begins anew is no boot; a boot that an agent before this one began is timed from here.
    if (!state.timer.has('boot')) state.timer.begin('boot');
    if (state.phase !== 'ready') state.phase = 'booting';
    void this.#takeOver(vm, state)
      .then(() => state.secrets(() => link.fetchSecrets(vm.id, vm.incarnation, signal)))
      .then((secrets) =>
        guest.supervise({
          vm,
          network: this.#networkOf(vm),
          secrets,
          fleet,
          signal,
          packageFile: () => this.#packageFile(vm, signal),
          onProgress: (progress) => {
            if (signal.aborted) return;
            if (progress.phase !== 'booting') state.giveSlotBack();
            if (progress.sshMs !== null && state.timer.isRunning('boot')) {
              state.timer.addPart('boot', 'ssh', progress.sshMs);
              state.timer.end('boot');
            }
            state.progress = progress;
            const { phase } = state;
            state.phase = progress.phase;
            onChange();
            // A probe that begins to fail has a limit, which the next pass looks for.
            if (phase !== progress.phase) this.wake();
          },
        }),
      )
      .catch((error: unknown) =>
        signal.aborted ? undefined : this.#onStepFailed({ kind: 'supervise', vm }, WeftError.from(error)),
      )
      .finally(() => {
        if (state.supervision === supervision) state.supervision = null;
        onChange();
        this.wake();
      });
  }

  /** A machine that runs here has its disk here, however it came: its next host goes by what is written beside it. */
  async #takeOver(vm: VmGoal, state: VmState): Promise<void> {
    if (vm.kind !== 'machine' || state.overlay !== null) return;
    const { pool, incarnation } = vm;
    const key = { pool, vmId: vm.id, kind: 'machine', incarnation } as const;
    state.overlay = await this.#options.disks.takeOver(key).catch((error: unknown) => {
      // No failing of the guest's, which runs on meanwhile.
      throw new WeftError('host-unreachable', `it cannot be written down who has the disk of ${vm.id}`, {
        cause: error,
      });
    });
  }

  #packageFile(vm: VmGoal, signal: AbortSignal): Promise<string> {
    const blob = vm.workload.package;
    if (!blob) throw new WeftError('invalid-package', `${vm.id} has no package`);
    return this.#options.cache.ensure(blob, 'file', { signal });
  }

  async #examine({ vm, domain, cause }: StepArguments['examine']): Promise<void> {
    if (!this.#isNewest(vm)) return;
    const state = this.#stateOf(vm);
    const wasStopped =
      cause === 'killed' && this.#options.lease?.takeStopped(domainName(this.#options.fleet, vm.id)) === true;
    const end = await examine(this.#options, vm, domain, wasStopped ? 'lease' : cause, state);
    if (end) this.#giveUp(vm, end.error, end.consoleTail);
  }

  async #reboot(vm: VmGoal): Promise<void> {
    const { driver, fleet } = this.#options;
    const name = domainName(fleet, vm.id);
    const mark = (await driver.listDomains()).find((domain) => domain.name === name)?.mark;
    if (!mark || mark.incarnation !== vm.incarnation) return;
    // Marked first: a crash in between costs a reboot, never makes an endless row of them.
    await driver.markDomain(name, { ...mark, rebootGeneration: vm.rebootGeneration });
    const state = this.#stateOf(vm);
    state.rebootGeneration = vm.rebootGeneration;
    state.resetAsked = true;
    state.phase = 'booting';
    this.#options.onChange();
    // Not waited for: a guest that takes its time must not hold up what else is asked of this VM.
    void driver
      .rebootDomain(name)
      .catch((error: unknown) => this.#options.log.warn({ err: error, vm: vm.id }, 'a reboot failed'))
      .finally(() => this.#options.guest.hint(vm.id));
  }

  async #stopVm(vm: VmGoal): Promise<void> {
    const { driver, fleet } = this.#options;
    const state = this.#stateOf(vm);
    state.stopped();
    state.phase = 'stopping';
    this.#options.onChange();
    const name = domainName(fleet, vm.id);
    // That it is off is for the next look to see.
    if (!(await driver.shutdownDomain(name, STOP_GRACE_MS))) await driver.removeDomain(name);
  }

  #discard(vmId: string, disk: DiskView): Promise<void> {
    const { pool, incarnation } = disk;
    return this.#options.disks.discard({ pool, vmId, kind: 'instance', incarnation: incarnation ?? 0 });
  }

  async #bury(vmId: string, disk: DiskView): Promise<void> {
    const { disks, driver, fleet } = this.#options;
    // The domain first: no disk goes from under a running guest.
    await driver.removeDomain(domainName(fleet, vmId));
    await disks.destroyMachineDisk(disk.pool, vmId);
  }

  async #onStepFailed(step: Step, error: WeftError): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (step.kind === 'provision' || step.kind === 'supervise') {
      if (isTheVmsOwn(step.kind, error)) return this.#onVmFailed(step.vm, error);
      if (!this.#isNewest(step.vm)) return;
    }
    const key = keyOf(step);
    this.#options.log.warn({ err: error, step: step.kind, key }, 'a step failed; trying again');
    this.#held.add(key);
    this.#options.clock.after(RETRY_MS, () => {
      this.#held.delete(key);
      this.wake();
    });
  }

  async #onVmFailed(vm: VmGoal, error: WeftError): Promise<void> {
    if (!this.#isNewest(vm)) return;
    const { paths, readConsole = readConsoleTail } = this.#options;
    const tail = await readConsole(paths.consoleLog(vm.id)).catch(() => null);
    this.#giveUp(vm, error, tail);
  }

  #giveUp(vm: VmGoal, error: WeftError, tail: string | null): void {
    const state = this.#vms.get(vm.id);
    if (!state || state.incarnation !== vm.incarnation) return;
    this.#options.log.warn({ err: error, vm: vm.id, incarnation: vm.incarnation }, 'a VM failed');
    state.stopSupervision();
    state.fail(error, tail);
    this.#options.onChange();
  }

  #onEvent(event: DomainEvent): void {
    if (event.type === 'connected') this.#networks.forget();
    if ('name' in event) this.#hint(event);
    this.wake();
  }

  #hint(event: DomainEvent & { readonly name: string }): void {
    const vm = this.#goal?.vms.find((each) => domainName(this.#options.fleet, each.id) === event.name);
    if (!vm) return;
    if (event.type === 'guest-agent' || event.type === 'reboot') this.#options.guest.hint(vm.id);
    // Of a guest that went down, crashed or hangs, the domain's state tells the pass that follows.
    const state = this.#vms.get(vm.id);
    if (event.type !== 'reboot' || !state?.alive) return;
    state.wasReset('it reset itself', vm.kind !== 'machine');
    this.#options.onChange();
  }

  #isNewest(vm: VmGoal): boolean {
    return this.vm(vm.id)?.incarnation === vm.incarnation;
  }

  #stateOf(vm: VmGoal): VmState {
    const known = this.#vms.get(vm.id);
    // The goal's incarnation counts, even where it is a lower one: the controller has forgotten the newer, and is to be told of it.
    if (known && (known.incarnation === vm.incarnation || !this.#isNewest(vm))) return known;
    known?.end();
    const state = new VmState(vm.id, vm.incarnation, vm.rebootGeneration, this.#options.clock);
    this.#vms.set(vm.id, state);
    return state;
  }

  #networkOf(vm: VmGoal): NetworkGoal {
    const network = this.#goal?.networks.find((each) => each.id === vm.nic.networkId);
    if (network) return network;
    throw new WeftError(
      'internal',
      `the goal names network ${vm.nic.networkId} for ${vm.id} but does not describe it`,
    );
  }
}

const NETWORK_KEY = 'network ';
const isNetwork = (key: string) => key.startsWith(NETWORK_KEY);

const keyOf = (step: Step): string => {
  if (step.kind === 'remove-network') return `${NETWORK_KEY}${step.network}`;
  return 'vm' in step ? step.vm.id : step.vmId;
};

/** What another host or another try at once would not mend; the rest is this host's or the link's, and is simply tried again. */
const isTheVmsOwn = (step: 'provision' | 'supervise', error: WeftError) =>
  // While a guest is watched, it is the guest that ran out of time.
  error.code !== 'host-unreachable' && (step === 'supervise' || error.code !== 'timeout');
