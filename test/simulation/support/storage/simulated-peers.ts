import type { Timer } from '../../../../agent/kit/clock.ts';
import type { PoolPeers } from '../../../../agent/protocol/index.ts';
import type { HostClock } from '../host-clock.ts';
import { type Mount, SHARED_POOL, type SharedPool } from '../shared-pool.ts';

/** As an agent goes about it. */
const LOOK_EVERY_MS = 10_000;
const RENEW_MS = 3_600_000;

interface Mine {
  readonly storage: SharedPool;
  readonly beats: readonly string[];
  readonly writtenMs: number;
}

/** The words that hosts leave in a pool and find of each other, as one process of an agent has them; by the rules of the real ones, without files. */
export class SimulatedPeers {
  readonly #host: string;
  readonly #mount: Mount;
  readonly #clock: HostClock;
  readonly #newBeat: () => string;
  #mine: Mine | null = null;
  #seen: { readonly atMs: number; readonly peers: readonly PoolPeers[] } = { atMs: 0, peers: [] };
  #timer: Timer | null = null;

  constructor(host: string, mount: Mount, clock: HostClock, newBeat: () => string) {
    this.#host = host;
    this.#mount = mount;
    this.#clock = clock;
    this.#newBeat = newBeat;
    this.#look();
  }

  /** How old what is told is, at this moment. */
  report(): { readonly peers: readonly PoolPeers[]; readonly peersAgeMs: number } {
    return { peers: this.#seen.peers, peersAgeMs: Math.max(0, this.#nowMs - this.#seen.atMs) };
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** By a clock that nobody sets. */
  get #nowMs(): number {
    return this.#clock.clock.now();
  }

  #look(): void {
    const atMs = this.#nowMs;
    const { storage } = this.#mount;
    const found = new Map(storage.beats);
    const isHere = this.#mine?.storage === storage && found.get(this.#host) === this.#mine.beats[0];
    if (!this.#mine || !isHere || atMs - this.#mine.writtenMs >= RENEW_MS) {
      const before = isHere ? (this.#mine?.beats.slice(0, 1) ?? []) : [];
      const beat = this.#newBeat();
      this.#mine = { storage, beats: [beat, ...before], writtenMs: atMs };
      storage.beats.set(this.#host, beat);
    }
    found.delete(this.#host);
    const { name: pool, id } = SHARED_POOL;
    this.#seen = {
      atMs,
      peers: [{ pool, id, beats: [...this.#mine.beats], seen: Object.fromEntries(found) }],
    };
    this.#timer = this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }
}
