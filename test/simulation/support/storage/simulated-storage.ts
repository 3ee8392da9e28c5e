import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import { type FenceDevice, STORAGE_FENCE } from '../../../../agent/protocol/index.ts';
import type { StorageRunner } from '../../../../controller/fencing/ceph-blocklist.ts';
import { RBD_POOL, type SharedPool } from '../shared-pool.ts';
import type { SimulatedHost } from '../simulated-host.ts';

const addressOf = (host: string) => `10.0.0.${host.slice(1)}`;

/** The storage fence of a simulated host. */
export const storageFenceOf = (host: string): FenceDevice => ({
  agent: STORAGE_FENCE,
  options: { addresses: addressOf(host) },
  secret: 'ceph',
});

const TAKES_MS = 200;

/** A Ceph cluster that really takes nothing more from hosts that are shut out, however alive they are. */
export class SimulatedStorage implements StorageRunner {
  /** It answers nobody. */
  broken = false;
  readonly #shared: SharedPool;
  readonly #hosts: readonly SimulatedHost[];
  readonly #clock: Clock;

  constructor(shared: SharedPool, hosts: readonly SimulatedHost[], clock: Clock) {
    this.#shared = shared;
    this.#hosts = hosts;
    this.#clock = clock;
  }

  async shutOut(device: FenceDevice, signal: AbortSignal) {
    const host = await this.#reach(device, signal);
    this.#shared.blocked.add(host.name);
    host.storageChanged();
    return { cluster: RBD_POOL.cluster, message: `${host.name} shut out` };
  }

  async letIn(device: FenceDevice, signal: AbortSignal): Promise<boolean> {
    const host = await this.#reach(device, signal);
    const wasOut = this.#shared.blocked.delete(host.name);
    host.storageChanged();
    return wasOut;
  }

  async status(device: FenceDevice, signal: AbortSignal) {
    const { name } = await this.#reach(device, signal);
    return {
      power: this.#shared.blocked.has(name) ? ('off' as const) : ('on' as const),
      message: 'simulated',
    };
  }

  async #reach({ options }: FenceDevice, signal: AbortSignal): Promise<SimulatedHost> {
    await this.#clock.sleep(TAKES_MS, signal);
    const host = this.#hosts.find(({ name }) => addressOf(name) === options.addresses);
    if (host && !this.broken) return host;
    throw new WeftError('timeout', 'Ceph did not answer');
  }
}
