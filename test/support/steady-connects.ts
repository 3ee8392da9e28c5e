import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** An address that has gone elsewhere answers nothing to what was sent before: the next try is what finds it. */
const TRY_LIMIT_MS = 200;
const PAUSE_MS = 10;

/** Connects and connects to an address, each time anew: who listens there is asked nothing, so what stands behind it is no matter. */
export class SteadyConnects {
  readonly #address: string;
  readonly #port: number;
  readonly #running: Promise<void>;
  #lastMs: number | null = null;
  #longestMs = 0;
  #isOver = false;

  constructor(address: string, port: number) {
    this.#address = address;
    this.#port = port;
    this.#running = this.#goOn();
  }

  /** Ends with the try that is under way. @returns the longest time in which none was, ms. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await this.#running;
    return this.#longestMs;
  }

  async #goOn(): Promise<void> {
    for (;;) {
      const isTaken = await isConnected(this.#address, this.#port);
      const nowMs = performance.now();
      if (isTaken) {
        this.#longestMs = Math.max(this.#longestMs, nowMs - (this.#lastMs ?? nowMs));
        this.#lastMs = nowMs;
      }
      if (this.#isOver) return;
      await sleep(PAUSE_MS);
    }
  }
}

function isConnected(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (isTaken: boolean) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.setTimeout(TRY_LIMIT_MS, () => end(false));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}
