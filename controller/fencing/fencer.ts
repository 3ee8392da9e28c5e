import { type BackOff, backOffMs } from '../../agent/kit/back-off.ts';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import type { Logger } from '../../agent/kit/log.ts';
import { type FenceDevice, isStorageFence } from '../../agent/protocol/index.ts';
import type { Store } from '../store/contract.ts';
import type { StorageRunner } from './ceph-blocklist.ts';
import type { DeviceTest, FenceRequest, Fencer, LiftRequest } from './contract.ts';
import type { DeviceRunner } from './fence-agent.ts';
import { type Attempt, recordAttempt } from './record-attempt.ts';
import { StorageLifts } from './storage-lifts.ts';
import { beginStorageFence } from './storage-records.ts';

export interface DeviceFencerOptions {
  readonly store: Store;
  readonly runner: DeviceRunner;
  /** Absent: storage fences are not to be had. */
  readonly storage?: StorageRunner;
  readonly clock: Clock;
  readonly log: Logger;
}

/** After each round in which all devices failed. */
const ROUNDS: BackOff = { firstMs: 1_000, maximumMs: 30_000, factor: 2 };

interface Worker {
  request: FenceRequest;
  readonly stop: AbortController;
  /** Labels of storage fences that have done what they can. */
  readonly done: Set<string>;
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
  /** A host is not let in while it is being shut out, nor the other way round. */
  readonly #turns = new ExclusiveRunner();
  readonly #lifts: StorageLifts;

  constructor(options: DeviceFencerOptions) {
    this.#options = options;
    this.#lifts = new StorageLifts(options, this.#turns);
  }

  want(requests: readonly FenceRequest[], lifts: readonly LiftRequest[] = []): void {
    if (this.#closing.signal.aborted) return;
    this.#lifts.want(lifts);
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
    await Promise.all([...this.#running, this.#lifts.close()]);
  }

  #begin(request: FenceRequest): void {
    const worker: Worker = { request, stop: new AbortController(), done: new Set() };
    this.#workers.set(request.host, worker);
    const work = this.#turns
      .run(request.host, () => this.#work(worker))
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
  async #round(worker: Worker): Promise<boolean> {
    const { request, stop } = worker;
    const { signal } = stop;
    for (const [index, device] of request.devices.entries()) {
      const label = labelOf(request.devices, index);
      if (isStorageFence(device)) {
        if (!(await this.#shutOut(worker, device, label))) return !signal.aborted;
        continue;
      }
      const attempt = await this.#attempt(device, label, signal);
      // Ended by us, it says nothing of the device.
      if (signal.aborted) return false;
      const isCurrent = await recordAttempt(this.#options.store, request, attempt);
      if (!isCurrent || attempt.off) return true;
    }
    return false;
  }

  /** @returns false when nothing more is to be done: the host is not down any more, or this was ended by us. */
  async #shutOut(
    { request, stop: { signal }, done }: Worker,
    device: FenceDevice,
    label: string,
  ): Promise<boolean> {
    const { store, storage, clock } = this.#options;
    if (done.has(label)) return true;
    if (!(await beginStorageFence(store, request, device))) return false;
    const atMs = clock.now();
    const answer = await (storage ?? NO_STORAGE).shutOut(device, signal).catch(textOf);
    if (signal.aborted) return false;
    const told =
      typeof answer === 'string' ? { off: false, message: answer } : { off: true, message: answer.message };
    const attempt: Attempt = { atMs, ms: clock.now() - atMs, device: label, ...told };
    const shutOut = typeof answer === 'string' ? undefined : { device, cluster: answer.cluster };
    if (!(await recordAttempt(store, request, attempt, shutOut))) return false;
    if (!attempt.off) return true;
    done.add(label);
    // It may be all that was needed. If it was not, this host is still wanted a moment later.
    await clock.sleep(ROUNDS.firstMs, signal).catch(() => undefined);
    return !signal.aborted;
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
    const asked = isStorageFence(device) ? (this.#options.storage ?? NO_STORAGE) : runner;
    const answer = await asked.status(device, this.#closing.signal).then(
      ({ power, message }) => ({ ok: true, power, message }),
      (thrown: unknown) => ({ ok: false, power: null, message: textOf(thrown) }),
    );
    return { device: label, ...answer, ms: clock.now() - atMs };
  }
}

const NO_STORAGE: Pick<StorageRunner, 'shutOut' | 'status'> = {
  shutOut: () =>
    Promise.reject(new WeftError('not-supported', 'this controller shuts nobody out of storage')),
  status: () => Promise.reject(new WeftError('not-supported', 'this controller shuts nobody out of storage')),
};

const labelOf = (devices: readonly FenceDevice[], index: number) =>
  `${devices[index]?.agent} (${index + 1} of ${devices.length})`;

function textOf(thrown: unknown): string {
  const { message, remedy } = WeftError.from(thrown);
  return remedy === undefined ? message : `${message}. ${remedy}`;
}
