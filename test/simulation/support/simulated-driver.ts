import type { DomainSpec } from '../../../agent/hypervisor/driver.ts';
import { FakeDriver } from '../../../agent/hypervisor/fake/fake-driver.ts';
import type { FakeHypervisor } from '../../../agent/hypervisor/fake/fake-hypervisor.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { HostClock } from './host-clock.ts';
import type { SimulatedDaemon } from './migration/daemon.ts';
import { SimulatedMigrations } from './migration/simulated-migrations.ts';
import { isStill } from './migration/stands-still.ts';
import type { Random } from './random.ts';

/** The fake hypervisor, with the time that a real one takes before and after: a process may be killed on either side of what it does. */
export class SimulatedDriver extends FakeDriver {
  readonly migrations: SimulatedMigrations;
  readonly #clock: HostClock;
  readonly #isLocked: (vmId: string) => boolean;
  readonly #random: Random;

  /** @param isLocked whether another host's copy of a machine has its disk locked. */
  constructor(
    fleet: string,
    hypervisor: FakeHypervisor,
    daemon: SimulatedDaemon,
    isLocked: (vmId: string) => boolean,
    clock: HostClock,
    random: Random,
  ) {
    super(fleet, hypervisor);
    this.migrations = new SimulatedMigrations(daemon, clock);
    this.#isLocked = isLocked;
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

  override async unpauseDomain(name: string): Promise<void> {
    const domain = this.domains.get(name);
    if (domain && isStill(domain) && this.#isLocked(domain.mark?.id ?? ''))
      throw new WeftError('hypervisor-failed', `${name}: failed to get "write" lock`);
    await super.unpauseDomain(name);
  }

  #work(): Promise<void> {
    // Nobody counts them here, and a simulation is long.
    this.calls.length = 0;
    return this.#clock.sleep(this.#random.between(5, 120));
  }
}
