import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket } from 'ws';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';

interface Pending {
  readonly host: string;
  readonly resolve: (stream: Duplex) => void;
  readonly cancel: () => void;
}

const DIAL_LIMIT_MS = 10_000;

/** Streams that were asked for and that the host has not dialled yet. */
export class PendingStreams {
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param ask sends the request with this stream's id to the host. */
  expect(host: string, ask: (streamId: string) => void): Promise<Duplex> {
    const streamId = randomUUID();
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(DIAL_LIMIT_MS, () => {
        this.#pending.delete(streamId);
        reject(
          new WeftError(
            'host-unreachable',
            `host ${host} did not open the connection within ${DIAL_LIMIT_MS} ms`,
          ),
        );
      });
      this.#pending.set(streamId, { host, resolve, cancel: () => timer.cancel() });
      ask(streamId);
    });
  }

  /** @returns false when nobody waits for this stream of this host. */
  arrived(streamId: string, host: string, socket: WebSocket): boolean {
    const pending = this.#pending.get(streamId);
    if (pending?.host !== host) return false;
    this.#pending.delete(streamId);
    pending.cancel();
    const stream = createWebSocketStream(socket);
    // Its end is the connection's: whoever waits for it to close, as SSH does when a guest dies, must not wait for ever.
    stream.once('end', () => stream.destroy());
    pending.resolve(stream);
    return true;
  }
}
