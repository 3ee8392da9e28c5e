import type { DomainView } from '../hypervisor/driver.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Goal, NetworkGoal, VmGoal, VmReport } from '../protocol/index.ts';
import type { VmMemory } from './plan.ts';
import { VmState } from './vm-state.ts';

/** The goal's VMs, and what this agent knows of the newest incarnation of each. */
export class GoalVms {
  readonly #clock: Clock;
  readonly #states = new Map<string, VmState>();
  #goal: Goal | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest goal that was taken in; null: none yet. */
  get goal(): Goal | null {
    return this.#goal;
  }

  /** From now on this goal counts. What it supersedes or names no more is over. */
  follow(goal: Goal): void {
    this.#goal = goal;
    for (const vm of goal.vms) this.stateOf(vm);
    for (const [id, state] of this.#states) {
      const vm = goal.vms.find((each) => each.id === id);
      if (vm?.power === 'stopped') state.stopped();
      if (vm) continue;
      state.end();
      this.#states.delete(id);
    }
  }

  end(): void {
    for (const state of this.#states.values()) state.end();
  }

  find(vmId: string): VmGoal | null {
    return this.#goal?.vms.find((each) => each.id === vmId) ?? null;
  }

  isNewest(vm: VmGoal): boolean {
    return this.find(vm.id)?.incarnation === vm.incarnation;
  }

  stateOf(vm: VmGoal): VmState {
    const known = this.#states.get(vm.id);
    // The goal's incarnation counts, even where it is a lower one: the controller has forgotten the newer, and is to be told of it.
    if (known && (known.incarnation === vm.incarnation || !this.isNewest(vm))) return known;
    known?.end();
    const state = new VmState(vm.id, vm.incarnation, vm.rebootGeneration, this.#clock);
    this.#states.set(vm.id, state);
    return state;
  }

  /** Null: its incarnation is over. */
  livingStateOf(vm: VmGoal): VmState | null {
    const state = this.#states.get(vm.id);
    return state?.incarnation === vm.incarnation ? state : null;
  }

  /** @throws `internal` when the goal names a subnet that it does not describe. */
  networkOf(vm: VmGoal): NetworkGoal {
    const network = this.#goal?.networks.find((each) => each.id === vm.nic.networkId);
    if (network) return network;
    throw new WeftError(
      'internal',
      `the goal names network ${vm.nic.networkId} for ${vm.id} but does not describe it`,
    );
  }

  reports(): VmReport[] {
    return [...this.#states.values()].map((state) => state.report());
  }

  /** By id, for the planner. */
  memory(): ReadonlyMap<string, VmMemory> {
    return new Map([...this.#states].map(([id, state]) => [id, state.memory()]));
  }

  /** What runs here at a newer incarnation than the goal's is left alone and told. @returns whether there is something new to tell. */
  noteNewer(domains: readonly DomainView[]): boolean {
    let changed = false;
    for (const [id, state] of this.#states) {
      const found = domains.find(({ mark }) => mark?.id === id)?.mark?.incarnation ?? 0;
      const newer = found > state.incarnation ? found : null;
      if (newer !== state.newerFound) changed = true;
      state.newerFound = newer;
    }
    return changed;
  }

  /**
   * What is to be off is `stopped` only when it was seen to be, with nothing on its way that might start it: the controller
   * takes this for a proof, and starts it elsewhere. @returns whether there is something new to tell.
   */
  noteStopped(goal: Goal, domains: readonly DomainView[], busy: ReadonlySet<string>): boolean {
    let changed = false;
    for (const vm of goal.vms) {
      if (vm.power !== 'stopped') continue;
      const state = this.livingStateOf(vm);
      if (!state) continue;
      const domain = domains.find(({ mark }) => mark?.id === vm.id);
      const phase = busy.has(vm.id) || (domain && domain.state !== 'shut-off') ? 'stopping' : 'stopped';
      if (state.phase === phase) continue;
      state.phase = phase;
      changed = true;
    }
    return changed;
  }
}
