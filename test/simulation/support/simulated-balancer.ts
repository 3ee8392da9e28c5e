import type { Clock, Timer } from '../../../agent/kit/clock.ts';
import type { EdgeGoal, EdgeReport } from '../../../agent/protocol/index.ts';
import type { Random } from './random.ts';

/** Connections last so long at most, ms: longer than some endpoints wait for them. */
const LONGEST_MS = 20_000;

interface Connection {
  isOpen: boolean;
  ending: Timer | null;
}

/** The load balancer of one host: someone always has a connection to each backend, which ends some time after no other may follow it. */
export class SimulatedBalancer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connections = new Map<string, Connection>();
  #goal: EdgeGoal | undefined;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** @param onChange a connection has ended. */
  follow(goal: EdgeGoal | undefined, onChange: () => void): void {
    this.#goal = goal;
    const seen = new Set<string>();
    for (const { id, backends } of goal?.endpoints ?? [])
      for (const { name, state } of backends) {
        const key = `${id} ${name}`;
        seen.add(key);
        const known = this.#connections.get(key);
        if (state === 'draining') {
          if (known?.isOpen) known.ending ??= this.#ends(known, onChange);
        } else {
          known?.ending?.cancel();
          this.#connections.set(key, { isOpen: true, ending: null });
        }
      }
    for (const key of this.#connections.keys()) if (!seen.has(key)) this.#connections.delete(key);
  }

  /** Connections to a backend, of any endpoint. */
  sessions(backend: string): number {
    let sessions = 0;
    for (const [key, { isOpen }] of this.#connections) if (isOpen && key.endsWith(` ${backend}`)) sessions++;
    return sessions;
  }

  report(): EdgeReport {
    const endpoints = (this.#goal?.endpoints ?? []).map(({ id, backends }) => ({
      ...{ id, state: 'served' as const, connections: 0, bytesIn: 0, bytesOut: 0 },
      backends: backends.map(({ name, state }) => ({
        name,
        state: state === 'draining' ? ('draining' as const) : ('up' as const),
        sessions: this.#connections.get(`${id} ${name}`)?.isOpen ? 1 : 0,
      })),
    }));
    return { endpoints, held: [], missing: [] };
  }

  #ends(connection: Connection, onChange: () => void): Timer {
    return this.#clock.after(this.#random.between(0, LONGEST_MS), () => {
      connection.isOpen = false;
      onChange();
    });
  }
}
