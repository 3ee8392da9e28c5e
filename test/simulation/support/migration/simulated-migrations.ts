import type { MigrationDriver, MigrationOrder } from '../../../../agent/hypervisor/migration-driver.ts';
import type { HostClock } from '../host-clock.ts';
import type { SimulatedDaemon } from './daemon.ts';

/** libvirt's migrations as one process of an agent has them. After it was killed it hears of nothing any more. */
export class SimulatedMigrations implements MigrationDriver {
  readonly #daemon: SimulatedDaemon;
  readonly #process: HostClock;

  constructor(daemon: SimulatedDaemon, process: HostClock) {
    this.#daemon = daemon;
    this.#process = process;
  }

  async guestOwner(): Promise<null> {
    return null;
  }

  migrate(domain: string, order: MigrationOrder): Promise<void> {
    return this.#whileAlive(() => this.#daemon.migrate(domain, order));
  }

  async keepKey(): Promise<void> {}

  job(domain: string) {
    return this.#whileAlive(async () => this.#daemon.job(domain));
  }

  abort(domain: string): Promise<void> {
    return this.#whileAlive(async () => this.#daemon.abort(domain));
  }

  arrival(domain: string) {
    return this.#whileAlive(async () => this.#daemon.arrival(domain));
  }

  #whileAlive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#process.killed) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      work().then(
        (value) => this.#process.killed || resolve(value),
        (error: unknown) => this.#process.killed || reject(error),
      );
    });
  }
}
