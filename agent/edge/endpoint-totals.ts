import type { Statistics } from './runtime.ts';

/** What a worker of the load balancer counts. */
export interface WorkerStatistics {
  readonly pid: number;
  /** None: it does not answer now. */
  readonly lines: readonly Statistics[];
}

export type Totals = Pick<Statistics, 'connections' | 'bytesIn' | 'bytesOut' | 'denied' | 'failed'>;

const NOTHING: Totals = { connections: 0, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 };

/**
 * What frontends, and what is behind them, have counted over all workers, since this began: each reload of HAProxy brings a worker that counts from nothing, and takes
 * the one before with its counts.
 */
export class EndpointTotals {
  /** Worker → frontend → what it had counted when it was last asked. */
  readonly #workers = new Map<number, Map<string, Totals>>();
  /** Of workers that have ended. */
  readonly #ended = new Map<string, Totals>();

  /** @param workers all that there are; none: that is not known now. @param proxies the frontends that are wanted still. */
  follow(workers: readonly WorkerStatistics[], proxies: ReadonlySet<string>): void {
    if (workers.length === 0) return;
    const pids = new Set(workers.map(({ pid }) => pid));
    for (const [pid, counted] of this.#workers) {
      if (pids.has(pid)) continue;
      for (const [proxy, totals] of counted) this.#end(proxy, totals);
      this.#workers.delete(pid);
    }
    for (const { pid, lines } of workers) {
      const failures = failuresIn(lines);
      for (const line of lines)
        if (line.name === 'FRONTEND') this.#count(pid, line, failures.get(line.proxy) ?? 0);
    }
    for (const proxy of this.#ended.keys()) if (!proxies.has(proxy)) this.#ended.delete(proxy);
  }

  of(proxy: string): Totals {
    return [...this.#workers.values()].reduce(
      (total, counted) => sum(total, counted.get(proxy) ?? NOTHING),
      this.#ended.get(proxy) ?? NOTHING,
    );
  }

  #count(pid: number, { proxy, connections, bytesIn, bytesOut, denied }: Statistics, failed: number): void {
    const counted = this.#workers.get(pid) ?? new Map<string, Totals>();
    const before = counted.get(proxy);
    // Another worker, under the number of one that has ended.
    if (before && before.connections > connections) this.#end(proxy, before);
    this.#workers.set(pid, counted.set(proxy, { connections, bytesIn, bytesOut, denied, failed }));
  }

  #end(proxy: string, totals: Totals): void {
    this.#ended.set(proxy, sum(this.#ended.get(proxy) ?? NOTHING, totals));
  }
}

const sum = (one: Totals, other: Totals): Totals => ({
  connections: one.connections + other.connections,
  bytesIn: one.bytesIn + other.bytesIn,
  bytesOut: one.bytesOut + other.bytesOut,
  denied: one.denied + other.denied,
  failed: one.failed + other.failed,
});

/** Behind a frontend is a backend of the same name. */
const failuresIn = (lines: readonly Statistics[]): ReadonlyMap<string, number> =>
  new Map(lines.filter(({ name }) => name === 'BACKEND').map(({ proxy, failed }) => [proxy, failed]));
