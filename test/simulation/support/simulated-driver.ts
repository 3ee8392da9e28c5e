import type { DomainSpec } from '../../../agent/hypervisor/driver.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import type { FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { Clock } from '../../../agent/kit/clock.ts';
import type { Random } from './random.ts';

/** The fake hypervisor, with the time that a real one takes before and after: a process may be killed on either side of what it does. */
export class SimulatedDriver extends FakeDriver {
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(fleet: string, hypervisor: FakeHypervisor, clock: Clock, random: Random) {
    super(fleet, hypervisor);
    this.#clock = clock;
    this.#random = random;
  }

  override async startDomain(spec: DomainSpec): Promise<void> {
    await this.#work();
    await super.startDomain(spec);
    await this.#work();
  }

  override async removeDomain(name: string): Promise<void> {
    await this.#work();
    await super.removeDomain(name);
    await this.#work();
  }

  #work(): Promise<void> {
    // Nobody counts them here, and a simulation is long.
    this.calls.length = 0;
    return this.#clock.sleep(this.#random.between(5, 120));
  }
}
