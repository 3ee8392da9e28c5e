import type { Clock, Timer } from '../../../agent/kit/clock.ts';
import type { Goal, Hello, Report, VmGoal, VmPhase, VmReport } from '../../../agent/protocol/index.ts';
import { aHello, type HostShape } from '../../support/builders/host.ts';
import type { Random } from './random.ts';
import { SHARED_POOL, type SharedPool } from './shared-pool.ts';

const REAP_AFTER_MS = 10_000;
const HEARTBEAT_MS = 1_000;

interface Domain {
  readonly vmId: string;
  readonly kind: 'instance' | 'machine';
  readonly incarnation: number;
}

/** What the agent's process remembers; gone when it or its host dies. */
interface Work {
  readonly incarnation: number;
  phase: VmPhase;
  timer: Timer | null;
  /** It is to be off. */
  isStop: boolean;
}

export interface SimulatedHostOptions {
  readonly name: string;
  readonly shape: HostShape;
  readonly clock: Clock;
  readonly random: Random;
  /** Chance that a boot fails. */
  readonly failureRate: number;
  readonly onMachineDiskRemoved: (vmId: string) => void;
  readonly shared: SharedPool;
  /** Breaks a rule of the agent on purpose. */
  readonly mutation?: HostMutation;
}

export type HostMutation =
  | 'takes older goals'
  | 'leaves what is superseded'
  | 'reaps machines that no goal names'
  | 'keeps overlays'
  | 'does not look at who has the disk';

/**
 * A host and its agent, in memory, under the rules of the real one: newest goal only, older incarnations retired, what the
 * goal does not name reaped after a quarantine or at once under a tombstone, machines' disks by tombstone only. Disks outlive power.
 */
export class SimulatedHost {
  readonly name: string;
  readonly domains = new Map<string, Domain>();
  /** `id@incarnation`. */
  readonly overlays = new Set<string>();
  readonly machineDisks = new Set<string>();
  powered = true;
  /** A network cut in both directions: the host goes on working. */
  cut = false;
  /** One-way cuts: it hears nothing, or is not heard. */
  deaf = false;
  mute = false;
  /** SIGSTOP: nothing on it moves, and its guests keep their disks open. */
  #paused = false;
  readonly #options: SimulatedHostOptions;
  readonly #work = new Map<string, Work>();
  readonly #unnamedSinceMs = new Map<string, number>();
  #boots = 1;
  #sequence = 0;
  #goal: Goal | null = null;
  #beat: Timer | null = null;
  #uplink: ((report: Report) => void) | null = null;

  constructor(options: SimulatedHostOptions) {
    this.name = options.name;
    this.#options = options;
    this.#heartbeat();
  }

  get reachable(): boolean {
    return this.powered && !this.cut && !this.#paused;
  }

  hello(): Hello {
    return aHello(this.name, this.#options.shape, `boot-${this.#boots}`);
  }

  /** A session with a controller begins. */
  connect(uplink: (report: Report) => void): void {
    this.#uplink = uplink;
    this.#report();
  }

  disconnect(): void {
    this.#uplink = null;
  }

  powerOff(): void {
    this.powered = false;
    this.#paused = false;
    this.domains.clear();
    this.restartAgent();
    this.#beat?.cancel();
  }

  powerOn(): void {
    if (this.powered) return;
    this.powered = true;
    this.#boots++;
    this.#heartbeat();
  }

  pause(): void {
    if (this.powered) this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** kill -9 of the agent: what runs goes on running. */
  restartAgent(): void {
    for (const work of this.#work.values()) work.timer?.cancel();
    this.#work.clear();
    this.#unnamedSinceMs.clear();
    this.#goal = null;
    this.#uplink = null;
  }

  receive(goal: Goal): void {
    if (!this.powered || this.#paused) return;
    const now = this.#goal;
    if (
      this.#options.mutation !== 'takes older goals' &&
      now &&
      (goal.epoch < now.epoch || (goal.epoch === now.epoch && goal.revision < now.revision))
    )
      return;
    this.#goal = goal;
    this.#pass();
    this.#report();
  }

  #heartbeat(): void {
    this.#beat = this.#options.clock.after(HEARTBEAT_MS, () => {
      this.#pass();
      this.#report();
      this.#heartbeat();
    });
  }

  #pass(): void {
    const goal = this.#goal;
    if (!goal || !this.powered || this.#paused) return;
    const wanted = new Map(goal.vms.map((vm) => [vm.id, vm]));
    for (const [id, work] of this.#work) {
      const vm = wanted.get(id);
      if (vm?.incarnation === work.incarnation && (vm.power === 'stopped') === work.isStop) continue;
      work.timer?.cancel();
      this.#work.delete(id);
    }
    this.#retire(goal, wanted);
    for (const vm of goal.vms) this.#follow(vm);
  }

  #retire(goal: Goal, wanted: ReadonlyMap<string, VmGoal>): void {
    const nowMs = this.#options.clock.now();
    const { mutation, shared } = this.#options;
    const isBuried = (id: string, incarnation: number) =>
      goal.tombstones.some((each) => each.id === id && incarnation <= each.upToIncarnation);
    const isSuperseded = (id: string, incarnation: number) =>
      mutation !== 'leaves what is superseded' &&
      goal.superseded.some((each) => each.id === id && incarnation <= each.upToIncarnation);
    const isOver = (key: string, id: string, incarnation: number) => {
      const vm = wanted.get(id);
      if (vm) return incarnation < vm.incarnation;
      if (isBuried(id, incarnation) || isSuperseded(id, incarnation)) return true;
      const sinceMs = this.#unnamedSinceMs.get(key) ?? nowMs;
      this.#unnamedSinceMs.set(key, sinceMs);
      return nowMs - sinceMs >= REAP_AFTER_MS;
    };
    for (const [id, domain] of this.domains) {
      if (
        domain.kind === 'machine' &&
        !wanted.has(id) &&
        !isBuried(id, domain.incarnation) &&
        !isSuperseded(id, domain.incarnation) &&
        mutation !== 'reaps machines that no goal names'
      )
        continue;
      if (isOver(`domain ${id}`, id, domain.incarnation)) this.domains.delete(id);
    }
    for (const overlay of this.overlays) {
      const [id = '', incarnation] = overlay.split('@');
      if (this.domains.get(id)?.incarnation === Number(incarnation) || mutation === 'keeps overlays')
        continue;
      if (isOver(overlay, id, Number(incarnation))) this.overlays.delete(overlay);
    }
    for (const id of this.machineDisks)
      if (!wanted.has(id) && (isBuried(id, 0) || mutation === 'reaps machines that no goal names')) {
        this.domains.delete(id);
        this.machineDisks.delete(id);
        this.#options.onMachineDiskRemoved(id);
      }
    for (const [id, owner] of shared.owners)
      if (!wanted.has(id) && isBuried(id, owner.incarnation)) {
        this.domains.delete(id);
        shared.owners.delete(id);
        this.#options.onMachineDiskRemoved(id);
      }
  }

  #follow(vm: VmGoal): void {
    if (this.#work.has(vm.id)) return;
    const work: Work = { incarnation: vm.incarnation, phase: 'queued', timer: null, isStop: false };
    this.#work.set(vm.id, work);
    const domain = this.domains.get(vm.id);
    if (vm.power === 'stopped') {
      work.isStop = true;
      this.#later(work, 'stopped', () => {
        if (this.domains.get(vm.id)?.incarnation === vm.incarnation) this.domains.delete(vm.id);
      });
      return;
    }
    // A newer domain than the goal names: the real agent leaves it alone, and nothing is done for the goal's one.
    if (domain && domain.incarnation > vm.incarnation) return;
    // An agent that begins anew says so of what runs on, until it has seen that it is well.
    if (domain?.incarnation === vm.incarnation)
      this.#later(work, 'booting', () => this.#later(work, 'ready'));
    else this.#later(work, 'fetching', () => this.#later(work, 'booting', () => this.#boot(vm, work)));
  }

  #boot(vm: VmGoal, work: Work): void {
    const kind = vm.kind === 'machine' ? 'machine' : 'instance';
    if (kind === 'machine' && vm.pool === SHARED_POOL.name) {
      if (!this.#takeDisk(vm)) {
        this.#later(work, 'failed');
        return;
      }
    } else if (kind === 'machine') this.machineDisks.add(vm.id);
    else this.overlays.add(`${vm.id}@${vm.incarnation}`);
    this.domains.set(vm.id, { vmId: vm.id, kind, incarnation: vm.incarnation });
    const fails = this.#options.random.chance(this.#options.failureRate);
    this.#later(work, fails ? 'failed' : 'starting', () => {
      if (!fails) this.#later(work, 'ready');
    });
  }

  /** @returns false when a newer one has it, or it is not there. */
  #takeDisk({ id, incarnation, diskIncarnation }: VmGoal): boolean {
    const { shared, mutation } = this.#options;
    const owner = shared.owners.get(id);
    if (mutation !== 'does not look at who has the disk') {
      if (owner && owner.incarnation > incarnation) return false;
      if (diskIncarnation > 0 && (owner?.incarnation ?? 0) < diskIncarnation) return false;
    }
    shared.owners.set(id, { host: this.name, incarnation });
    return true;
  }

  #later(work: Work, phase: VmPhase, then: () => void = () => undefined): void {
    const lasts = this.#options.random.between(20, 900);
    work.timer = this.#options.clock.after(lasts, () => {
      if (this.#paused) {
        this.#later(work, phase, then);
        return;
      }
      work.timer = null;
      work.phase = phase;
      then();
      this.#report();
    });
  }

  #report(): void {
    if (!this.powered || this.#paused || !this.#uplink) return;
    const wanted = new Set((this.#goal?.vms ?? []).map((vm) => vm.id));
    const buried = new Set((this.#goal?.tombstones ?? []).map(({ id }) => id));
    const over = new Map((this.#goal?.superseded ?? []).map((each) => [each.id, each.upToIncarnation]));
    const shared = [...this.#options.shared.owners]
      .filter(([id, owner]) => owner.host === this.name || buried.has(id))
      .map(([id]) => id);
    const present = [
      ...[...this.domains.values()].map(({ vmId, kind, incarnation }) => ({
        vmId,
        kind: over.has(vmId) && incarnation <= (over.get(vmId) ?? 0) ? ('instance' as const) : kind,
      })),
      ...[...this.overlays].map((key) => ({ vmId: key.split('@')[0] ?? '', kind: 'instance' as const })),
      ...[...this.machineDisks, ...shared].map((vmId) => ({ vmId, kind: 'machine' as const })),
    ].filter(({ vmId }) => !wanted.has(vmId));
    const leaving = present.filter(({ vmId, kind }) => kind === 'instance' || buried.has(vmId));
    const strangers = [...this.machineDisks, ...shared].filter((id) => !wanted.has(id));
    this.#uplink({
      type: 'report',
      sequence: this.#sequence++,
      atMs: this.#options.clock.now(),
      bootId: `boot-${this.#boots}`,
      revisionSeen: this.#goal?.revision ?? 0,
      vms: (this.#goal?.vms ?? []).map((vm) => this.#vmReport(vm)),
      blobs: [],
      strangers: strangers.map((id) => ({
        id,
        incarnation: this.domains.get(id)?.incarnation ?? 1,
        running: this.domains.has(id),
        disk: `/pool/machines/${id}/disk.qcow2`,
      })),
      leaving: [...new Set(leaving.map(({ vmId }) => vmId))].sort(),
    });
  }

  #vmReport(vm: VmGoal): VmReport {
    const phase = this.#work.get(vm.id)?.phase ?? 'queued';
    const found = this.domains.get(vm.id)?.incarnation ?? 0;
    return {
      id: vm.id,
      incarnation: vm.incarnation,
      phase,
      rebootGeneration: vm.rebootGeneration,
      steps: [],
      tasks: [],
      boots: 1,
      ...(found > vm.incarnation ? { newerFound: found } : {}),
      ...(found === vm.incarnation ? { overlay: `/pool/${vm.id}.qcow2` } : {}),
      ...(phase === 'failed' ? { failure: { code: 'task-failed', message: 'simulated' } } : {}),
    };
  }
}
