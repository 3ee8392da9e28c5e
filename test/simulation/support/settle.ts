/** More turns than any work takes: something goes round and round, and time never passes. */
const MOST_TURNS = 2_000;

/** Counts whatever may set something in motion that goes on in a later turn of the event loop. */
export class Activity {
  #count = 0;
  /** How much of it has had its turn. */
  #seen = 0;

  note(): void {
    this.#count++;
  }

  /**
   * Until nothing moves but the clock: all promises have settled, and no store has anything to tell.
   * @param isOver true: there is no need to wait any longer.
   * @returns false when there was no end to it.
   */
  settled(isOver: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      // A tick comes after all promises that can settle have done so, and costs far less than a turn of the event loop.
      process.nextTick(() => resolve(this.#count === this.#seen || this.#turns(isOver)));
    });
  }

  async #turns(isOver: () => boolean): Promise<boolean> {
    for (let turns = 0; this.#count !== this.#seen && !isOver(); turns++) {
      if (turns > MOST_TURNS) return false;
      this.#seen = this.#count;
      await turn();
    }
    return true;
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
