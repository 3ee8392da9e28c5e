import { type BackOff, backOffMs } from '../../agent/kit/back-off.ts';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { Logger } from '../../agent/kit/log.ts';
import type { FenceDevice } from '../../agent/protocol/index.ts';
import type { Store } from '../store/contract.ts';
import type { DeviceTest, FenceRequest, Fencer } from './contract.ts';
import type { DeviceRunner } from './fence-agent.ts';
import { type Attempt, recordAttempt } from './record-attempt.ts';

export interface DeviceFencerOptions {
  readonly store: Store;
  readonly runner: DeviceRunner;
  readonly clock: Clock;
  readonly log: Logger;
}

/** After each round in which all devices failed. */
const ROUNDS: BackOff = { firstMs: 1_000, maximumMs: 30_000, factor: 2 };

interface Worker {
  request: FenceRequest;
  readonly stop: AbortController;
}

/**
 * One worker for each host that is to be fenced: its devices in their order, and again, until one says that it is off. What it
 * knows is in the store only: a new controller just begins again, and a host that is off already counts as fenced.
 */
export class DeviceFencer implements Fencer {
  readonly #options: DeviceFencerOptions;
  readonly #workers = new Map<string, Worker>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: DeviceFencerOptions) {
    this.#options = options;
  }

  want(requests: readonly FenceRequest[]): void {
    if (this.#closing.signal.aborted) return;
    const wanted = new Map(requests.map((request) => [request.host, request]));
    for (const [host, { request, stop }] of this.#workers) {
      if (wanted.get(host)?.downSinceMs === request.downSinceMs) continue;
      stop.abort(new Error('not wanted any more'));
      this.#workers.delete(host);
    }
    for (const request of wanted.values()) {
      const worker = this.#workers.get(request.host);
      if (worker) worker.request = request;
      else this.#begin(request);
    }
  }

  test(devices: readonly FenceDevice[]): Promise<readonly DeviceTest[]> {
    return Promise.all(devices.map((device, index) => this.#test(device, labelOf(devices, index))));
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the controller ends'));
    for (const { stop } of this.#workers.values()) stop.abort(this.#closing.signal.reason);
    this.#workers.clear();
    await Promise.all(this.#running);
  }

  #begin(request: FenceRequest): void {
    const worker: Worker = { request, stop: new AbortController() };
    this.#workers.set(request.host, worker);
    const work = this.#work(worker)
      .catch((error: unknown) => {
        if (worker.stop.signal.aborted) return;
        // It is not in the way of a new beginning, which the next call of `want` is.
        this.#options.log.error({ err: error, host: request.host }, 'fencing ended by an error of its own');
        if (this.#workers.get(request.host) === worker) this.#workers.delete(request.host);
      })
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  async #work(worker: Worker): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = worker.stop;
    for (let failures = 0; !signal.aborted; ) {
      const isSettled = await this.#round(worker).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error, host: worker.request.host }, 'fencing is tried again');
        return false;
      });
      failures = isSettled ? 0 : failures + 1;
      // Settled, it is soon not wanted any more. If it stays wanted, what was found out has been lost.
      await clock.sleep(isSettled ? ROUNDS.maximumMs : backOffMs(ROUNDS, failures), signal);
    }
  }

  /** @returns whether nothing more is to be done: it is off and this is written down, or the host is not down any more. */
  async #round({ request, stop: { signal } }: Worker): Promise<boolean> {
    for (const [index, device] of request.devices.entries()) {
      const attempt = await this.#attempt(device, labelOf(request.devices, index), signal);
      // Ended by us, it says nothing of the device.
      if (signal.aborted) return false;
      const isCurrent = await recordAttempt(this.#options.store, request, attempt);
      if (!isCurrent || attempt.off) return true;
    }
    return false;
  }

  async #attempt(device: FenceDevice, label: string, signal: AbortSignal): Promise<Attempt> {
    const { clock, runner } = this.#options;
    const atMs = clock.now();
    const [off, message] = await runner.off(device, signal).then(
      (said) => [true, said] as const,
      (thrown: unknown) => [false, textOf(thrown)] as const,
    );
    return { atMs, ms: clock.now() - atMs, device: label, off, message };
  }

  async #test(device: FenceDevice, label: string): Promise<DeviceTest> {
    const { clock, runner } = this.#options;
    const atMs = clock.now();
    const answer = await runner.status(device, this.#closing.signal).then(
      ({ power, message }) => ({ ok: true, power, message }),
      (thrown: unknown) => ({ ok: false, power: null, message: textOf(thrown) }),
    );
    return { device: label, ...answer, ms: clock.now() - atMs };
  }
}

const labelOf = (devices: readonly FenceDevice[], index: number) =>
  `${devices[index]?.agent} (${index + 1} of ${devices.length})`;

function textOf(thrown: unknown): string {
  const { message, remedy } = WeftError.from(thrown);
  return remedy === undefined ? message : `${message}. ${remedy}`;
}
