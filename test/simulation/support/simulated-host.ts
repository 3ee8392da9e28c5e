import type { DiskView } from '../../../agent/disks/contract.ts';
import type { plan } from '../../../agent/executor/plan.ts';
import { FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import type { Goal, Hello, Report } from '../../../agent/protocol/index.ts';
import { aHello, type HostShape } from '../../support/builders/host.ts';
import { FakeFolders } from '../../support/fakes/host-fakes.ts';
import type { HostTime } from './host-clock.ts';
import type { Random } from './random.ts';
import type { SharedPool } from './shared-pool.ts';
import { SimulatedAgent } from './simulated-agent.ts';
import type { LocalPool } from './simulated-disks.ts';

export interface SimulatedHostOptions {
  readonly name: string;
  readonly shape: HostShape;
  readonly clock: Clock;
  readonly random: Random;
  /** Chance that a boot fails. */
  readonly failureRate: number;
  readonly shared: SharedPool;
  /** Breaks a rule of the agent on purpose. */
  readonly mutation?: HostMutation;
  readonly onMachineDiskRemoved: (vmId: string) => void;
  /** What runs or lies on it has changed. */
  readonly onChange: (host: SimulatedHost) => void;
  /** Whether it can be reached may have changed. */
  readonly onLink: (host: SimulatedHost) => void;
}

/** What an agent does wrong: its planner, or what is named. */
export type HostMutation =
  | { readonly plan: typeof plan }
  | 'takes older goals'
  | 'does not look at who has the disk';

/** What frames to and from a host suffer on their way. */
export interface Weather {
  /** They take up to so many ms more, and overtake each other. */
  lateMs: number;
  /** Each may come a second time. */
  duplicated: boolean;
}

interface Domain {
  readonly vmId: string;
  readonly kind: 'instance' | 'machine';
  readonly incarnation: number;
}

/**
 * A host with its agent, which is the real one from the goal down to the hypervisor's seam. What lies on disk outlives power,
 * domains outlive the agent's process, and what that remembers outlives nothing.
 */
export class SimulatedHost {
  readonly name: string;
  readonly weather: Weather = { lateMs: 0, duplicated: false };
  readonly local: LocalPool = { disks: new Map<string, DiskView>(), full: false, wasFull: false };
  readonly #options: SimulatedHostOptions;
  readonly #time: HostTime = { paused: false, skewMs: 0, waiting: [] };
  readonly #folders = new FakeFolders();
  readonly #blobs = new Set<string>();
  #hypervisor: FakeHypervisor;
  #agent: SimulatedAgent | null = null;
  #uplink: ((report: Report) => void) | null = null;
  #boots = 1;
  /** The newest epoch that it has obeyed: written down by the agent. */
  #epoch = 0;
  #cut = false;
  #deaf = false;
  #mute = false;

  constructor(options: SimulatedHostOptions) {
    this.name = options.name;
    this.#options = options;
    this.#hypervisor = this.#boot();
  }

  get powered(): boolean {
    return this.#agent !== null;
  }

  get paused(): boolean {
    return this.#time.paused;
  }

  /** A network cut in both directions: the host goes on working. */
  get cut(): boolean {
    return this.#cut;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    this.#options.onLink(this);
  }

  /** One-way cuts: it hears nothing. */
  get deaf(): boolean {
    return this.#deaf;
  }

  set deaf(deaf: boolean) {
    this.#deaf = deaf;
    this.#options.onLink(this);
  }

  /** It is not heard. */
  get mute(): boolean {
    return this.#mute;
  }

  set mute(mute: boolean) {
    this.#mute = mute;
    this.#options.onLink(this);
  }

  get reachable(): boolean {
    return this.powered && !this.#cut && !this.paused;
  }

  set skewMs(skewMs: number) {
    this.#time.skewMs = skewMs;
  }

  /** What runs here, by the ids of VMs. */
  get domains(): ReadonlyMap<string, Domain> {
    const found = new Map<string, Domain>();
    for (const { mark, state } of this.#hypervisor.domains.values())
      if (mark && state !== 'shut-off')
        found.set(mark.id, { vmId: mark.id, kind: mark.kind, incarnation: mark.incarnation });
    return found;
  }

  /** `id@incarnation`. */
  get overlays(): ReadonlySet<string> {
    return new Set(
      [...this.local.disks.values()]
        .filter(({ kind }) => kind === 'instance')
        .map(({ vmId, incarnation }) => `${vmId}@${incarnation}`),
    );
  }

  /** On its own pool. */
  get machineDisks(): ReadonlySet<string> {
    const disks = [...this.local.disks.values()];
    return new Set(disks.filter(({ kind }) => kind === 'machine').map(({ vmId }) => vmId));
  }

  hello(): Hello {
    return aHello(this.name, this.#options.shape, this.#bootId);
  }

  /** A session with a controller begins. */
  connect(uplink: (report: Report) => void): void {
    this.#uplink = uplink;
    this.#agent?.connect(uplink);
  }

  disconnect(): void {
    this.#uplink = null;
    this.#agent?.disconnect();
  }

  receive(goal: Goal): void {
    if (!this.#agent || this.paused) return;
    if (goal.epoch < this.#epoch && this.#options.mutation !== 'takes older goals') return;
    this.#epoch = goal.epoch;
    this.#agent.receive(goal);
  }

  powerOff(): void {
    if (!this.#agent) return;
    this.#agent.kill();
    this.#agent = null;
    this.#uplink = null;
    this.#time.paused = false;
    this.#time.waiting.length = 0;
    this.#hypervisor = new FakeHypervisor();
    this.#options.onChange(this);
    this.#options.onLink(this);
  }

  powerOn(): void {
    if (this.powered) return;
    this.#boots++;
    this.#hypervisor = this.#boot();
    this.#options.onLink(this);
  }

  /** SIGSTOP of everything: nothing on it moves, and its guests keep their disks open. */
  pause(): void {
    if (!this.powered) return;
    this.#time.paused = true;
    this.#options.onLink(this);
  }

  resume(): void {
    if (!this.paused) return;
    this.#time.paused = false;
    for (const action of this.#time.waiting.splice(0)) action();
    this.#options.onLink(this);
  }

  /** kill -9 of the agent: what runs goes on running. */
  restartAgent(): void {
    if (!this.#agent) return;
    this.#agent.kill();
    this.#uplink = null;
    this.#agent = this.#start(this.#hypervisor);
    this.#options.onLink(this);
  }

  /** The agent's state folder is lost while it is down: which epoch it obeyed, its blobs, the folders of its VMs. */
  forgetEverything(): void {
    this.#epoch = 0;
    this.#blobs.clear();
    this.#folders.ids.clear();
    this.restartAgent();
  }

  /** A guest goes wrong by itself. */
  failGuest(vmId: string, how: 'panic' | 'hang' | 'power-off'): void {
    const found = [...this.#hypervisor.domains].find(([, { mark }]) => mark?.id === vmId);
    if (!found) return;
    const [name, domain] = found;
    if (how === 'power-off') this.#hypervisor.halt(name, domain, 'shut-off', 'shutdown');
    else if (how === 'panic') this.#hypervisor.freeze(name, domain, 'crashed', 'panicked');
    else this.#hypervisor.freeze(name, domain, 'paused', 'watchdog');
  }

  /** Its own pool has no room, or has some again. */
  fillPool(full: boolean): void {
    this.local.full = full;
    this.local.wasFull ||= full;
    this.#agent?.changed();
  }

  get #bootId(): string {
    return `boot-${this.#boots}`;
  }

  #boot(): FakeHypervisor {
    const hypervisor = new FakeHypervisor();
    hypervisor.listen(() => this.#options.onChange(this));
    this.#agent = this.#start(hypervisor);
    return hypervisor;
  }

  #start(hypervisor: FakeHypervisor): SimulatedAgent {
    const { clock, random, failureRate, shared, mutation } = this.#options;
    const agent = new SimulatedAgent({
      ...{ clock, random, failureRate, hypervisor },
      host: this.name,
      bootId: this.#bootId,
      time: this.#time,
      local: this.local,
      shared,
      folders: this.#folders,
      blobs: this.#blobs,
      onChange: () => this.#options.onChange(this),
      onMachineDiskRemoved: this.#options.onMachineDiskRemoved,
      takesAnyDisk: mutation === 'does not look at who has the disk',
      ...(typeof mutation === 'object' ? { plan: mutation.plan } : {}),
    });
    if (this.#uplink) agent.connect(this.#uplink);
    return agent;
  }
}
