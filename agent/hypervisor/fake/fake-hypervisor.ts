import type { WeftError } from '../../kit/errors.ts';
import type {
  DomainEvent,
  DomainMark,
  DomainSpec,
  DomainState,
  NetworkSpec,
  NetworkView,
} from '../driver.ts';

export interface FakeDomain {
  /** Null: someone else made it. */
  spec: DomainSpec | null;
  mark: DomainMark | null;
  state: DomainState;
  reason: string;
  boots: number;
  /** Ends the consoles that are open; called when the domain stops. */
  readonly consoles: Set<() => void>;
}

export interface FakeNetwork extends Omit<NetworkSpec, 'mark'> {
  readonly mark: NetworkView['mark'];
  active: boolean;
}

/** What several drivers of one host share: domains, networks, and the news of them. */
export class FakeHypervisor {
  readonly domains = new Map<string, FakeDomain>();
  readonly networks = new Map<string, FakeNetwork>();
  /** What every call fails with, and nothing is told, for as long as its daemon is not there; null: it is. */
  away: WeftError | null = null;
  readonly #listeners = new Set<(event: DomainEvent) => void>();

  listen(listener: (event: DomainEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: DomainEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** Brings a domain up, if its network is. @returns why it cannot, or null. */
  boot(name: string, domain: FakeDomain): string | null {
    const network = domain.spec?.nic.network;
    if (network !== undefined && this.networks.get(network)?.active !== true)
      return `network '${network}' is not active`;
    domain.state = 'running';
    domain.reason = 'booted';
    domain.boots++;
    this.emit({ type: 'lifecycle', name, state: 'running', detail: 'started booted' });
    return null;
  }

  /** Stops a domain's processors; it stays as it is, its console open. */
  freeze(name: string, domain: FakeDomain, state: 'crashed' | 'paused', reason: string): void {
    domain.state = state;
    domain.reason = reason;
    this.emit({ type: 'lifecycle', name, state, detail: `stopped ${reason}` });
  }

  /** Takes a domain down. */
  halt(name: string, domain: FakeDomain, state: 'shut-off', reason: string): void {
    domain.state = state;
    domain.reason = reason;
    for (const end of domain.consoles) end();
    domain.consoles.clear();
    this.emit({ type: 'lifecycle', name, state, detail: `stopped ${reason}` });
  }
}
