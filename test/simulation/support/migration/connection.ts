import { Duplex } from 'node:stream';

/** How what is done at one end comes to the other: at once or later, in the order in which it was done. */
export type Carry = (arrive: () => void) => void;

/** One end of a connection in memory. */
class End extends Duplex {
  readonly #carry: Carry;
  #peer: End | null = null;
  #hasEnded = false;

  constructor(carry: Carry) {
    super();
    this.#carry = carry;
  }

  join(peer: End): void {
    this.#peer = peer;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#carry(() => this.#peer?.arrive(chunk));
    done();
  }

  override _final(done: () => void): void {
    this.#carry(() => this.#peer?.arrive(null));
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#carry(() => this.#peer?.destroy());
    done(error);
  }

  arrive(chunk: Buffer | null): void {
    if (this.destroyed || this.#hasEnded) return;
    this.#hasEnded = chunk === null;
    this.push(chunk);
  }
}

/** @param there carries from the first end to the second, `back` the other way. */
export function connection(there: Carry, back: Carry): readonly [Duplex, Duplex] {
  const [one, other] = [new End(there), new End(back)];
  one.join(other);
  other.join(one);
  for (const end of [one, other]) end.on('error', () => undefined);
  return [one, other];
}
