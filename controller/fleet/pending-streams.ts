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
/** What a host says with it when it lets go of a stream because something failed (RFC 6455, section 7.4.1). */
const FAILED = 1011;
const reasons = new WeakMap<Duplex, string>();

/** What has failed, where a host has let go of a stream for that and has said what. It is a text of that host's, on one line. */
export const reasonOf = (stream: Duplex): string | null => reasons.get(stream) ?? null;

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
    socket.once('close', (code, reason) => {
      const text = reason.toString('utf8').replace(/\p{C}/gu, ' ').trim();
      if (code === FAILED && text !== '') reasons.set(stream, text);
    });
    // Its end is the connection's: whoever waits for it to close, as SSH does when a guest dies, must not wait for ever.
    stream.once('end', () => stream.destroy());
    pending.resolve(stream);
    return true;
  }
}
