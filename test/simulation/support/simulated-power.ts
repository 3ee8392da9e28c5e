import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { FenceDevice } from '../../../agent/protocol/index.ts';
import type { DeviceRunner } from '../../../controller/fencing/fence-agent.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** The fence device of a simulated host: it names the host it switches. */
export const deviceOf = (host: string, number = 1): FenceDevice => ({
  agent: 'fence_simulated',
  options: { plug: host, port: String(number) },
});

/** Fence devices that really switch simulated hosts off, unless they are broken. */
export class SimulatedPower implements DeviceRunner {
  /** Devices that do not answer: names of hosts, for all of theirs, or `host#number`. */
  readonly broken = new Set<string>();
  readonly #hosts: readonly SimulatedHost[];
  readonly #clock: Clock;

  constructor(hosts: readonly SimulatedHost[], clock: Clock) {
    this.#hosts = hosts;
    this.#clock = clock;
  }

  async off(device: FenceDevice, signal: AbortSignal): Promise<string> {
    const host = await this.#reach(device, signal);
    host.powerOff();
    return 'off';
  }

  async status(device: FenceDevice, signal: AbortSignal) {
    const host = await this.#reach(device, signal);
    return { power: host.powered ? ('on' as const) : ('off' as const), message: 'simulated' };
  }

  async #reach({ options }: FenceDevice, signal: AbortSignal): Promise<SimulatedHost> {
    await this.#clock.sleep(200, signal);
    const host = this.#hosts.find(({ name }) => name === options.plug);
    const isBroken = this.broken.has(`${options.plug}`) || this.broken.has(`${options.plug}#${options.port}`);
    if (host && !isBroken) return host;
    throw new WeftError('timeout', `the device of ${options.plug} does not answer`);
  }
}
