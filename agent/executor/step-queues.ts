import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner, type Place } from '../kit/exclusive-runner.ts';
import type { Step } from './plan.ts';

/** A step that failed (libvirt away, for example) is planned again after this long even if nothing happens. */
const HOLD_MS = 1_000;

export interface StepQueuesOptions {
  readonly parallel: number;
  readonly clock: Clock;
  readonly execute: (step: Step, place: Place) => Promise<void>;
  readonly onFailed: (step: Step, error: WeftError) => Promise<void>;
  /** A step has ended, however it did. */
  readonly onEnd: () => void;
  /** What was held may be planned again. */
  readonly onFree: () => void;
}

/** One queue for each VM and each network that goes: one step of it at a time; the next pass plans what follows from what is then there. */
export class StepQueues {
  readonly #options: StepQueuesOptions;
  readonly #runner: ExclusiveRunner;
  readonly #busy = new Set<string>();
  /** Queues whose step has just failed: not planned again before a little while has passed. */
  readonly #held = new Set<string>();

  constructor(options: StepQueuesOptions) {
    this.#options = options;
    this.#runner = new ExclusiveRunner(options.parallel);
  }

  /** Ids of the VMs that are worked on at this moment. */
  busyVms(): ReadonlySet<string> {
    return new Set([...this.#busy].filter((key) => !isNetwork(key)));
  }

  dispatch(step: Step): void {
    const { execute, onFailed, onEnd } = this.#options;
    const key = keyOf(step);
    if (this.#busy.has(key) || this.#held.has(key)) return;
    this.#busy.add(key);
    void this.#runner
      .run(key, (place) => execute(step, place))
      .catch((error: unknown) => onFailed(step, WeftError.from(error)))
      .finally(() => {
        this.#busy.delete(key);
        onEnd();
      });
  }

  /** Nothing of this queue is done for a little while. */
  hold(key: string): void {
    const { clock, onFree } = this.#options;
    this.#held.add(key);
    clock.after(HOLD_MS, () => {
      this.#held.delete(key);
      onFree();
    });
  }
}

const NETWORK_KEY = 'network ';
const isNetwork = (key: string) => key.startsWith(NETWORK_KEY);

/** The queue that a step belongs to. */
export const keyOf = (step: Step): string => {
  if (step.kind === 'remove-network') return `${NETWORK_KEY}${step.network}`;
  return 'vm' in step ? step.vm.id : step.vmId;
};
