/** Work that is done once more when it is asked for while it is under way: passes never overlap, and no asking is missed. */
export class Passes {
  readonly #work: () => Promise<void>;
  readonly #isOver: () => boolean;
  #running: Promise<void> | null = null;
  #again = false;

  /** @param work never throws. @param isOver whether no more passes are to be made. */
  constructor(work: () => Promise<void>, isOver: () => boolean) {
    this.#work = work;
    this.#isOver = isOver;
  }

  /** The pass that is under way; null: none is. */
  get running(): Promise<void> | null {
    return this.#running;
  }

  /** Something may have to be done. Cheap to call often. */
  wake(): void {
    if (this.#isOver()) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = this.#work().finally(() => {
      this.#running = null;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }
}
