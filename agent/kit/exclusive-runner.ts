/** The place that a piece of work holds among those that run at once. */
export interface Place {
  /** Waits without holding the place, and takes one again before it answers. */
  aside<T>(wait: () => Promise<T>): Promise<T>;
}

/**
 * Runs work under named keys.
 * - Two pieces of work under one key never overlap, and start in the order they were asked for; one that has nothing to wait for, at once.
 * - At most `limit` pieces run at once over all keys.
 * - A piece that throws frees its key and its place; only its own caller sees the error.
 */
export class ExclusiveRunner {
  readonly #limit: number;
  readonly #tails = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  run<T>(key: string, work: (place: Place) => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const result = before ? before.then(() => this.#withPlace(work)) : this.#withPlace(work);
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }

  /** Keys with work running or waiting. */
  busy(): readonly string[] {
    return [...this.#tails.keys()];
  }

  /** Resolves when nothing is running or waiting any more. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }

  async #withPlace<T>(work: (place: Place) => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++;
    else await this.#next();
    try {
      return await work({ aside: (wait) => this.#aside(wait) });
    } finally {
      this.#leave();
    }
  }

  async #aside<T>(wait: () => Promise<T>): Promise<T> {
    this.#leave();
    try {
      return await wait();
    } finally {
      if (this.#running < this.#limit) this.#running++;
      else await this.#next();
    }
  }

  /** Whoever leaves hands its place on. */
  #next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }
}
