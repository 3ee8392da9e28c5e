import type { GuestProgress, GuestSupervisor, SuperviseOptions } from '../../../agent/guest/contract.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Random } from './random.ts';

/** Guests that boot, start and are ready after a while, or fail by chance. */
export class SimulatedGuest implements GuestSupervisor {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #failureRate: number;
  readonly #hints = new Map<string, () => void>();

  constructor(clock: Clock, random: Random, failureRate: number) {
    this.#clock = clock;
    this.#random = random;
    this.#failureRate = failureRate;
  }

  async supervise(options: SuperviseOptions): Promise<void> {
    const { vm, signal } = options;
    let hinted = new AbortController();
    this.#hints.set(vm.id, () => hinted.abort());
    signal.addEventListener('abort', () => hinted.abort(), { once: true });
    while (!signal.aborted) {
      hinted = new AbortController();
      const until = hinted.signal;
      // A guest that reboots meanwhile begins anew.
      await this.#boot(options, until);
      if (!until.aborted)
        await new Promise<void>((resolve) =>
          until.addEventListener('abort', () => resolve(), { once: true }),
        );
    }
  }

  /** A guest reboots, or answers. */
  hint(vmId: string): void {
    this.#hints.get(vmId)?.();
  }

  async #boot({ vm, onProgress }: SuperviseOptions, signal: AbortSignal): Promise<void> {
    const tell = (phase: GuestProgress['phase']) =>
      onProgress({ phase, steps: [], tasks: [], sshMs: phase === 'booting' ? null : 5, boots: 1 });
    tell('booting');
    if (!(await this.#pass(signal))) return;
    tell('starting');
    if (!(await this.#pass(signal))) return;
    if (this.#random.chance(this.#failureRate))
      throw new WeftError('task-failed', `the startup of ${vm.id} failed`);
    tell('ready');
  }

  /** @returns false when it came to an end meanwhile. */
  #pass(signal: AbortSignal): Promise<boolean> {
    return this.#clock.sleep(this.#random.between(20, 600), signal).then(
      () => true,
      () => false,
    );
  }
}
