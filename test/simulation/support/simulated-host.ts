import type { DiskView } from '../../../agent/disks/contract.ts';
import { type FakeDomain, FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import {
  COPIES_DISKS,
  type Goal,
  type Hello,
  MIGRATES_LIVE,
  type OpenStream,
  type Report,
} from '../../../agent/protocol/index.ts';
import { aHello } from '../../support/builders/host.ts';
import { FakeFolders } from '../../support/fakes/host-fakes.ts';
import { HostClock, type HostTime } from './host-clock.ts';
import { copiesOn, type Guest, isInCeph, runningOn } from './host-guests.ts';
import { SimulatedDaemon } from './migration/daemon.ts';
import type { SimulatedDoor } from './migration/direct-lines.ts';
import { isStill } from './migration/stands-still.ts';
import type { AppliedNetwork, SimulatedKernel } from './network/simulated-network.ts';
import { renumbered } from './network/underlay-of.ts';
import type { Mount, SharedPool } from './shared-pool.ts';
import { SimulatedAgent } from './simulated-agent.ts';
import { SimulatedBalancer } from './simulated-balancer.ts';
import type { LocalPool, MachineDisk } from './simulated-disks.ts';
import type { SimulatedHostOptions, Weather } from './simulated-host-options.ts';

/** Until an end notices that its connection is cut. */
const SEVERED_AFTER_MS = 100;

/** What begins and ends with the power. */
interface Boot {
  readonly hypervisor: FakeHypervisor;
  readonly daemon: SimulatedDaemon;
  readonly clock: HostClock;
  readonly balancer: SimulatedBalancer;
  readonly kernel: SimulatedKernel;
}

/**
 * A host with its agent, which is the real one from the goal down to the hypervisor's seam. What lies on disk outlives power,
 * domains outlive the agent's process, and what that remembers outlives nothing.
 */
export class SimulatedHost {
  readonly name: string;
  readonly weather: Weather = { lateMs: 0, duplicated: false };
  readonly local: LocalPool = {
    ...{ disks: new Map<string, DiskView>(), machines: new Map<string, MachineDisk>() },
    ...{ full: false, wasFull: false },
  };
  /** A wall keeps other hosts from it, and not the controller. */
  walled = false;
  readonly #options: SimulatedHostOptions;
  readonly #time: HostTime = { paused: false, skewMs: 0, waiting: [] };
  readonly #mount: Mount;
  readonly #folders = new FakeFolders();
  readonly #blobs = new Set<string>();
  readonly #onCut = new Set<() => void>();
  #life: Boot;
  #defined: ReadonlyMap<string, FakeDomain> = new Map();
  #agent: SimulatedAgent | null = null;
  #uplink: ((report: Report) => void) | null = null;
  #boots = 1;
  /** How often its network has given it another address. */
  #renumbered = 0;
  #beats = 0;
  /** The newest epoch that it has obeyed: written down by the agent. */
  #epoch = 0;
  #cut = false;
  #deaf = false;
  #mute = false;

  constructor(options: SimulatedHostOptions) {
    this.name = options.name;
    this.#options = options;
    this.#mount = { storage: options.shared };
    this.#life = this.#boot();
  }

  /** By which other hosts know it; null: it lets none in. */
  get ownAddress(): string | null {
    return this.#options.listens ? `10.0.0.${this.name.slice(1)}` : null;
  }

  /** Where its agent lets other hosts in; null: it is off. */
  get door(): SimulatedDoor | null {
    return this.#agent?.door ?? null;
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
    if (cut) for (const sever of this.#onCut) this.#options.clock.after(SEVERED_AFTER_MS, sever);
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

  /** Bytes come through, both ways; a host that is stopped takes them in later. */
  get hears(): boolean {
    return this.powered && !this.#cut && !this.#deaf && !this.#mute;
  }

  onCut(sever: () => void): void {
    this.#onCut.add(sever);
  }

  offCut(sever: () => void): void {
    this.#onCut.delete(sever);
  }

  /** At once, or when it goes on. */
  whenRunning(action: () => void): void {
    if (this.paused) this.#time.waiting.push(action);
    else action();
  }

  set skewMs(skewMs: number) {
    this.#time.skewMs = skewMs;
  }

  /** What runs here, by the ids of VMs; less what stands still because it is being handed over, and what is shut out of its disk. */
  get domains(): ReadonlyMap<string, Guest> {
    return runningOn(this.#life.hypervisor, this.#isShutOut);
  }

  /** `id@incarnation` of what stands still here because it is being handed over: it runs nothing, and has no lock on its disk. */
  get stillCopies(): ReadonlySet<string> {
    return copiesOn(this.#life.hypervisor, isStill);
  }

  /** `id@incarnation` of what runs here and can write its disk no more, for as long as its host is shut out of that. */
  get shutOutCopies(): ReadonlySet<string> {
    if (!this.#isShutOut) return new Set();
    return copiesOn(this.#life.hypervisor, (domain) => domain.state !== 'shut-off' && isInCeph(domain));
  }

  get #isShutOut(): boolean {
    return this.#options.shared.blocked.has(this.name);
  }

  /** What its router was told last; null: nothing since it was switched on, or it is off. */
  get network(): AppliedNetwork | null {
    return this.powered ? this.#life.kernel.applied : null;
  }

  /** Open connections of the world to a backend by way of this host. */
  sessions(backend: string): number {
    return this.powered ? this.#life.balancer.sessions(backend) : 0;
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
    const { shape } = this.#options;
    const underlay = shape.underlay && renumbered(shape.underlay, this.#renumbered);
    const hello = aHello(this.name, { ...shape, ...(underlay && { underlay }) }, this.#bootId);
    const isOffered = ({ kind }: { readonly kind: string }) => kind !== 'rbd' || !this.#isShutOut;
    const offer = { ...hello.offer, pools: hello.offer.pools.filter(isOffered) };
    return { ...hello, offer, capabilities: [...hello.capabilities, MIGRATES_LIVE, COPIES_DISKS] };
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

  openStream(request: OpenStream): void {
    this.whenRunning(() => this.#agent?.openStream(request));
  }

  /** kill -9 of libvirt: guests go on running. */
  stopLibvirt(): void {
    if (this.powered) this.#life.daemon.stop();
  }

  startLibvirt(): void {
    if (this.powered) this.#life.daemon.start();
  }

  powerOff(): void {
    if (!this.#agent) return;
    this.#options.note();
    this.#defined = this.#life.daemon.defined();
    this.#life.daemon.end();
    this.#life.clock.kill();
    this.#agent.kill();
    this.#agent = null;
    this.#uplink = null;
    this.#time.paused = false;
    this.#time.waiting.length = 0;
    this.#life = { ...this.#life, hypervisor: new FakeHypervisor() };
    for (const disk of this.local.machines.values()) disk.arriving = null;
    this.#options.onChange(this);
    this.#options.onLink(this);
  }

  powerOn(): void {
    if (this.powered) return;
    this.#boots++;
    this.#life = this.#boot();
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
    this.#options.note();
    this.#agent.kill();
    this.#uplink = null;
    this.#agent = this.#start();
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
    const found = [...this.#life.hypervisor.domains].find(([, { mark }]) => mark?.id === vmId);
    // What stands still does nothing.
    if (!found || isStill(found[1])) return;
    const [name, domain] = found;
    if (how === 'power-off') this.#life.hypervisor.halt(name, domain, 'shut-off', 'shutdown');
    else if (how === 'panic') this.#life.hypervisor.freeze(name, domain, 'crashed', 'panicked');
    else this.#life.hypervisor.freeze(name, domain, 'paused', 'watchdog');
  }

  /** What is mounted here as the pool that hosts share. */
  get storage(): SharedPool {
    return this.#mount.storage;
  }

  /** Another storage is mounted under the same name, with the same mark. */
  mountStorage(storage: SharedPool): void {
    this.#mount.storage = storage;
  }

  /** It was shut out of storage, or let in: what runs is hurt at once, and its agent sees it when it looks. */
  storageChanged(): void {
    this.#options.onChange(this);
    this.#options.onOffer(this);
  }

  /** Its network gives it another address. */
  renumber(): void {
    this.#renumbered++;
    this.#options.onOffer(this);
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

  #boot(): Boot {
    const { random, note, isLocked, highestRun } = this.#options;
    const clock = new HostClock(this.#options.clock, this.#time);
    const hypervisor = new FakeHypervisor();
    // libvirt knows what is defined after a boot as before.
    for (const [name, domain] of this.#defined)
      hypervisor.domains.set(name, { ...domain, state: 'shut-off', reason: 'unknown' });
    hypervisor.listen(() => this.#options.onChange(this));
    const daemon = new SimulatedDaemon({
      ...{ hypervisor, clock, random, note, highestRun },
      machines: this.local.machines,
      runsCopies: this.#options.mutation === 'lets run what comes with its disk',
      isLocked: (vmId) => isLocked(vmId, this),
    });
    const balancer = new SimulatedBalancer(clock, random);
    this.#life = { hypervisor, clock, daemon, balancer, kernel: { applied: null } };
    this.#agent = this.#start();
    return this.#life;
  }

  #start(): SimulatedAgent {
    const { clock, random, failureRate, leavesBeats, mutation, isLocked, dial, network } = this.#options;
    const { hypervisor, daemon, balancer, kernel } = this.#life;
    const agent = new SimulatedAgent({
      ...{ clock, random, failureRate, hypervisor, daemon, balancer, kernel },
      isLocked: (vmId) => isLocked(vmId, this),
      dial: (path) => dial(this, path),
      address: this.ownAddress,
      lines: {
        open: (target, limitMs) => network.open(this, target, limitMs),
        ask: (line, path, host, limitMs) => network.ask(line, path, host, limitMs),
      },
      host: this.name,
      bootId: this.#bootId,
      time: this.#time,
      local: this.local,
      mount: this.#mount,
      ...(leavesBeats ? { newBeat: () => `${this.name}-${++this.#beats}` } : {}),
      folders: this.#folders,
      blobs: this.#blobs,
      onChange: () => this.#options.onChange(this),
      onNetwork: () => this.#options.onNetwork(this),
      onMachineDiskRemoved: this.#options.onMachineDiskRemoved,
      flushesNothing: mutation === 'does not flush what was copied',
      takesAnyDisk: mutation === 'does not look at who has the disk',
      ...(typeof mutation === 'object' ? mutation : {}),
    });
    if (this.#uplink) agent.connect(this.#uplink);
    return agent;
  }
}
