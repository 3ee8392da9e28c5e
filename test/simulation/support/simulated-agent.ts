import type { Duplex } from 'node:stream';
import { Executor } from '../../../agent/executor/executor.ts';
import { Landings } from '../../../agent/executor/landings.ts';
import { AgentPaths } from '../../../agent/executor/paths.ts';
import type { plan } from '../../../agent/executor/plan.ts';
import type { VmFolders } from '../../../agent/executor/vm-folders.ts';
import type { FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { Clock, Timer } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import type { DirectLines } from '../../../agent/migrations/direct/dialler.ts';
import type { Goal, OpenStream, Report } from '../../../agent/protocol/index.ts';
import { keepParts } from '../../../controller/fleet/kept-parts.ts';
import { frozenCopy } from '../../../controller/store/frozen.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { fakeSecrets } from '../../support/fakes/host-fakes.ts';
import { HostClock, type HostTime } from './host-clock.ts';
import { AgentHandOvers } from './migration/agent-hand-overs.ts';
import type { SimulatedDaemon } from './migration/daemon.ts';
import type { SimulatedDoor } from './migration/direct-lines.ts';
import { type ChangesNetwork, type SimulatedKernel, SimulatedNetwork } from './network/simulated-network.ts';
import type { Random } from './random.ts';
import type { SimulatedBalancer } from './simulated-balancer.ts';
import { SimulatedCache } from './simulated-cache.ts';
import { SimulatedCopies } from './simulated-copies.ts';
import { SimulatedDisks, type SimulatedDisksOptions } from './simulated-disks.ts';
import { SimulatedDriver } from './simulated-driver.ts';
import { SimulatedGuest } from './simulated-guest.ts';
import { SimulatedPeers } from './storage/simulated-peers.ts';

const REAP_AFTER_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** Changes that come together are told together. */
const GATHER_MS = 15;
const paths = new AgentPaths('/nowhere');
const log = createLogger('agent', process.env.WEFT_LOG_LEVEL ?? 'silent');

export interface SimulatedAgentOptions extends Omit<SimulatedDisksOptions, 'clock'> {
  readonly bootId: string;
  readonly clock: Clock;
  readonly time: HostTime;
  readonly random: Random;
  readonly hypervisor: FakeHypervisor;
  readonly daemon: SimulatedDaemon;
  readonly isLocked: (vmId: string) => boolean;
  /** A connection to the controller that carries bytes. */
  readonly dial: (path: string) => Promise<Duplex>;
  /** Where other hosts' agents reach this one; null: nowhere. */
  readonly address: string | null;
  /** To other hosts' agents. */
  readonly lines: DirectLines;
  readonly folders: VmFolders;
  readonly blobs: Set<string>;
  /** Makes a word to leave in the pool that hosts share; absent: it leaves none, as agents once did. */
  readonly newBeat?: () => string;
  /** Chance that a boot fails. */
  readonly failureRate: number;
  readonly plan?: typeof plan;
  /** What it makes of its goal's network; absent: what the goal says. */
  readonly network?: ChangesNetwork;
  readonly kernel: SimulatedKernel;
  /** The goal's network is in place. */
  readonly onNetwork: () => void;
  /** Serves the world, and outlives this process. */
  readonly balancer: SimulatedBalancer;
}

/** One process of an agent: the real executor and planner over a hypervisor, disks and guests in memory, and a heartbeat. */
export class SimulatedAgent {
  readonly #options: SimulatedAgentOptions;
  readonly #clock: HostClock;
  readonly #driver: SimulatedDriver;
  readonly #executor: Executor;
  readonly #network: SimulatedNetwork;
  readonly #handOvers: AgentHandOvers;
  readonly #peers: SimulatedPeers | null;
  #uplink: ((report: Report) => void) | null = null;
  #sequence = 0;
  /** What was told last; null: something has changed since. */
  #told: Report | null = null;
  #isTold = false;
  #isServing = false;
  #gathering: Timer | null = null;

  constructor(options: SimulatedAgentOptions) {
    this.#options = options;
    const { random, hypervisor, folders, failureRate } = options;
    const clock = new HostClock(options.clock, options.time);
    this.#clock = clock;
    this.#driver = new SimulatedDriver(FLEET, hypervisor, options.daemon, options.isLocked, clock, random);
    const disks = new SimulatedDisks({ ...options, clock });
    const copies = new SimulatedCopies(disks, { ...options, clock });
    const landings = new Landings();
    const cache = new SimulatedCache(options.blobs, clock, random, () => this.#uplink !== null);
    const fetchSecrets = async () => {
      if (this.#uplink !== null) return fakeSecrets;
      throw new WeftError('host-unreachable', 'the controller does not answer');
    };
    this.#network = new SimulatedNetwork({
      ...{ kernel: options.kernel, clock, random, onApplied: options.onNetwork },
      ...(options.network === undefined ? {} : { changes: options.network }),
    });
    this.#executor = new Executor({
      fleet: FLEET,
      driver: this.#driver,
      disks,
      copies,
      landings,
      cache,
      network: this.#network,
      guest: new SimulatedGuest(clock, random, failureRate),
      link: {
        openBlob: () => Promise.reject(new WeftError('host-unreachable', 'nothing is fetched here')),
        fetchSecrets,
      },
      seed: { composeSeed: () => new Map(), writeSeedIso: async () => undefined },
      paths,
      folders,
      clock,
      log,
      reapAfterMs: REAP_AFTER_MS,
      unreadyLimitMs: 300_000,
      parallel: 8,
      boots: 16,
      onChange: () => this.changed(),
      ...(options.plan === undefined ? {} : { plan: options.plan }),
      readConsole: async () => null,
    });
    this.#handOvers = new AgentHandOvers({
      ...{ fleet: FLEET, driver: this.#driver, executor: this.#executor, disks, cache, folders, paths },
      ...{ copies, landings, address: options.address, lines: options.lines },
      ...{ fetchSecrets, clock, log, daemon: options.daemon, dial: options.dial },
      onChange: () => this.changed(),
    });
    const { host, mount, newBeat } = options;
    this.#peers = newBeat ? new SimulatedPeers(host, mount, clock, newBeat) : null;
    this.#beat();
  }

  /** kill -9, wherever it is: nothing that it waits for comes any more. */
  kill(): void {
    this.#clock.kill();
    this.#uplink = null;
    this.#handOvers.kill();
    void this.#driver.close();
  }

  /** Where other hosts' agents come in. */
  get door(): SimulatedDoor {
    return this.#handOvers.door;
  }

  /** A session with a controller begins. */
  connect(uplink: (report: Report) => void): void {
    this.#uplink = uplink;
    this.#sequence = 0;
    this.#tell();
  }

  disconnect(): void {
    this.#uplink = null;
  }

  receive(goal: Goal): void {
    this.#options.balancer.follow(goal.edge, () => this.changed());
    this.#isServing = goal.edge !== undefined;
    this.#network.announce(goal);
    this.#executor.setGoal(goal);
    if (this.#executor.goal) this.#handOvers.follow(this.#executor.goal);
  }

  openStream(request: OpenStream): void {
    this.#handOvers.openStream(request);
  }

  /** Something has changed: a report follows at once, with what else changes in the same moment. */
  changed(): void {
    this.#isTold = false;
    this.#gathering ??= this.#clock.after(GATHER_MS, () => {
      this.#gathering = null;
      this.#tell();
    });
  }

  #beat(): void {
    this.#clock.after(HEARTBEAT_MS, () => {
      this.#beat();
      this.#tell();
    });
  }

  #tell(): void {
    if (!this.#uplink) return;
    // What goes over the wire is a copy, and what has stayed the same is one already.
    if (!this.#isTold || this.#told === null) this.#told = frozenCopy(keepParts(this.#told, this.#look()));
    this.#isTold = true;
    const peers = this.#peers?.report();
    const told = { ...this.#told, sequence: this.#sequence++, atMs: this.#clock.now() };
    this.#uplink(peers ? { ...told, peers: [...peers.peers], peersAgeMs: peers.peersAgeMs } : told);
  }

  #look(): Report {
    const { bootId, local } = this.#options;
    const doctor = {
      ...{ atMs: 0, answered: [], count: 0, findings: [] },
      fullPools: local.full ? ['local'] : [],
    };
    const migrations = this.#handOvers.report();
    const report = {
      ...{ type: 'report' as const, sequence: 0, atMs: 0, bootId, blobs: [] },
      ...this.#executor.report(),
      // From the first time on, as a doctor tells what it saw.
      ...(local.wasFull ? { doctor } : {}),
      ...(migrations.length === 0 ? {} : { migrations }),
      ...(this.#isServing ? { edge: this.#options.balancer.report() } : {}),
    };
    return report;
  }
}
