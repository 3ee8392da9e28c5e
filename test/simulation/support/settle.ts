/** Counts whatever may set something in motion that goes on in a later turn of the event loop. */
export class Activity {
  #count = 0;

  note(): void {
    this.#count++;
  }

  /** Until nothing moves but the clock: all promises have settled, and no store has anything to tell. */
  async settled(): Promise<void> {
    let before = this.#count;
    await promises();
    while (this.#count !== before) {
      before = this.#count;
      await turn();
    }
  }

  /** What is set in motion from outside, such as by a user. */
  async settledAfterAnything(): Promise<void> {
    await turn();
    await this.settled();
  }
}

/** A tick comes after all promises that can settle have done so, and costs far less than a turn of the event loop. */
const promises = () => new Promise<void>((resolve) => process.nextTick(resolve));
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
