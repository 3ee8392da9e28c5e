import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { GuardState } from '../../agent/protocol/index.ts';
import type { HostRecord } from '../model/records.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { LeaseAges } from './contract.ts';

export interface LeasesOptions {
  readonly store: Store;
  /** A clock that nobody can set, milliseconds. */
  readonly monotonicMs: () => number;
}

/** Hosts of which nothing is decided. One that is down gets none before it is seen to be up: what it had may be elsewhere by then. */
const GRANTED: ReadonlySet<HostRecord['state']> = new Set<HostRecord['state']>(['up', 'suspect']);

/**
 * The leases that this controller grants to hosts with a guard. What a host says of its guard is in the store before it is answered:
 * so a guard that disarms its watchdog knows that no controller, this one or the next, relies on it.
 */
export class Leases implements LeaseAges {
  readonly #options: LeasesOptions;
  readonly #beganMs: number;
  readonly #grantedMs = new Map<string, number>();
  /** One thing after another for each host: what it said last is what stays. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#beganMs = options.monotonicMs();
  }

  /** How long ago the last lease was granted, at least: one that a controller before this one granted is older than this one. */
  ageMs(host: string): number {
    return this.#options.monotonicMs() - (this.#grantedMs.get(host) ?? this.#beganMs);
  }

  /**
   * Writes down what a host says of its guard; null: it has none.
   * @param isCurrent whether the session in which it was said still is the host's.
   * @returns the host's record with it; null: the session is over, or the host unknown, and nothing was written.
   */
  note(host: string, guard: GuardState | null, isCurrent: () => boolean): Promise<HostRecord | null> {
    const before = this.#queues.get(host) ?? Promise.resolve();
    const noted = before.then(
      () => this.#write(host, guard, isCurrent),
      () => this.#write(host, guard, isCurrent),
    );
    this.#queues.set(host, noted);
    return noted;
  }

  /** @returns for how long a lease is granted, and from now on counts as granted; null: none is. */
  async grant(host: string, guard: GuardState, isCurrent: () => boolean): Promise<number | null> {
    const record = await this.note(host, guard, isCurrent);
    if (!record || !GRANTED.has(record.state) || !isCurrent()) return null;
    // Before it is sent: it may arrive although the sending seems to fail.
    this.#grantedMs.set(host, this.#options.monotonicMs());
    return guard.leaseMs;
  }

  #write(host: string, guard: GuardState | null, isCurrent: () => boolean): Promise<HostRecord | null> {
    const { store } = this.#options;
    return change<HostRecord | null>(store, async () => {
      const { value, check } = await read<HostRecord>(store, `hosts/${host}`);
      if (!value || !isCurrent()) return { answer: null };
      if (isSameDocument(value.guard ?? null, guard)) return { answer: value };
      const record: HostRecord = { ...value, guard };
      return { answer: record, transaction: { checks: [check], puts: [{ key: check.key, value: record }] } };
    });
  }
}
