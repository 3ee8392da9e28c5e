/** More turns than any work takes: something goes round and round, and time never passes. */
const MOST_TURNS = 2_000;

/** Counts whatever may set something in motion that goes on in a later turn of the event loop. */
export class Activity {
  #count = 0;

  note(): void {
    this.#count++;
  }

  /**
   * Until nothing moves but the clock: all promises have settled, and no store has anything to tell.
   * @param isOver true: there is no need to wait any longer.
   * @returns false when there was no end to it.
   */
  async settled(isOver: () => boolean): Promise<boolean> {
    let before = this.#count;
    await promises();
    for (let turns = 0; this.#count !== before && !isOver(); turns++) {
      if (turns > MOST_TURNS) return false;
      before = this.#count;
      await turn();
    }
    return true;
  }

  /** What is set in motion from outside, such as by a user. */
  async settledAfterAnything(isOver: () => boolean): Promise<boolean> {
    await turn();
    return this.settled(isOver);
  }
}

/** A tick comes after all promises that can settle have done so, and costs far less than a turn of the event loop. */
const promises = () => new Promise<void>((resolve) => process.nextTick(resolve));
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
