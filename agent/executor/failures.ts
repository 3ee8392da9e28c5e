import type { WeftError } from '../kit/errors.ts';
import type { VmGoal } from '../protocol/index.ts';
import { readConsoleTail } from './console-tail.ts';
import type { ExecutorOptions } from './options.ts';
import type { Step } from './plan.ts';
import { keyOf } from './step-queues.ts';
import type { GoalVms } from './vms.ts';

/** What follows from a step that failed: a VM that failed is given up at this incarnation and reported; all else is tried again. */
export class Failures {
  readonly #options: ExecutorOptions;
  readonly #vms: GoalVms;
  readonly #hold: (key: string) => void;

  /** @param hold keeps a queue from being planned again at once. */
  constructor(options: ExecutorOptions, vms: GoalVms, hold: (key: string) => void) {
    this.#options = options;
    this.#vms = vms;
    this.#hold = hold;
  }

  async onStep(step: Step, error: WeftError): Promise<void> {
    if (step.kind === 'provision' || step.kind === 'supervise') {
      if (isTheVmsOwn(step.kind, error)) return this.#onVm(step.vm, error);
      if (!this.#vms.isNewest(step.vm)) return;
    }
    const key = keyOf(step);
    this.#options.log.warn({ err: error, step: step.kind, key }, 'a step failed; trying again');
    this.#hold(key);
  }

  /** @param tail the end of its console; null: there is none. */
  giveUp(vm: VmGoal, error: WeftError, tail: string | null): void {
    const state = this.#vms.livingStateOf(vm);
    if (!state) return;
    this.#options.log.warn({ err: error, vm: vm.id, incarnation: vm.incarnation }, 'a VM failed');
    state.stopSupervision();
    state.fail(error, tail);
    this.#options.onChange();
  }

  async #onVm(vm: VmGoal, error: WeftError): Promise<void> {
    if (!this.#vms.isNewest(vm)) return;
    const { paths, readConsole = readConsoleTail } = this.#options;
    const tail = await readConsole(paths.consoleLog(vm.id)).catch(() => null);
    this.giveUp(vm, error, tail);
  }
}

/** What another host or another try at once would not mend; the rest is this host's or the link's, and is simply tried again. */
const isTheVmsOwn = (step: 'provision' | 'supervise', error: WeftError) =>
  // While a guest is watched, it is the guest that ran out of time.
  error.code !== 'host-unreachable' && (step === 'supervise' || error.code !== 'timeout');
