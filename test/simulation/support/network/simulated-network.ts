import { ExclusiveRunner } from '../../../../agent/kit/exclusive-runner.ts';
import type { HostNetwork } from '../../../../agent/network/contract.ts';
import type { RouterPart } from '../../../../agent/network/router-part.ts';
import type { Goal } from '../../../../agent/protocol/index.ts';
import type { HostClock } from '../host-clock.ts';
import type { Random } from '../random.ts';

/** What a host was told last of the fleet's network, and by which goal. */
export interface AppliedNetwork {
  readonly epoch: number;
  readonly revision: number;
  readonly part: RouterPart;
}

/** It outlives the agent's process, and goes with the power. */
export interface SimulatedKernel {
  applied: AppliedNetwork | null;
}

/** Breaks what a host makes of its goal. @param before what it made of the one before; null: there was none since it began. */
export type ChangesNetwork = (part: RouterPart, before: RouterPart | null) => RouterPart;

export interface SimulatedNetworkOptions {
  readonly kernel: SimulatedKernel;
  readonly clock: HostClock;
  readonly random: Random;
  readonly onApplied: () => void;
  readonly changes?: ChangesNetwork;
}

/** A host's router, as far as it can be judged by what it was told: one goal after another, each whole or not at all. */
export class SimulatedNetwork implements HostNetwork {
  readonly #options: SimulatedNetworkOptions;
  readonly #runner = new ExclusiveRunner();
  #goal: Pick<Goal, 'epoch' | 'revision'> = { epoch: 0, revision: 0 };

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
  }

  /** What is applied next is of this goal. */
  announce({ epoch, revision }: Pick<Goal, 'epoch' | 'revision'>): void {
    this.#goal = { epoch, revision };
  }

  apply(part: RouterPart): Promise<void> {
    const goal = this.#goal;
    const { kernel, clock, random, changes, onApplied } = this.#options;
    return this.#runner.run('rules', async () => {
      await clock.sleep(random.between(2, 20));
      const made = changes ? changes(part, kernel.applied?.part ?? null) : part;
      kernel.applied = { ...goal, part: made };
      onApplied();
    });
  }

  async refresh(): Promise<void> {}

  async hastenResolution(): Promise<void> {}

  async hasBridge(): Promise<boolean> {
    return true;
  }

  async mayRemake(): Promise<boolean> {
    return true;
  }

  async remove(): Promise<void> {
    this.#options.kernel.applied = null;
  }
}
