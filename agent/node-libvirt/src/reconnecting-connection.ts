import { EventEmitter } from 'node:events';
import type { CallOptions } from './call-options.ts';
import { Connection, type OpenOptions } from './connection.ts';
import { emitApart } from './emit.ts';
import { CallTimeoutError } from './errors.ts';
import { EVENT_NAMES } from './event-names.ts';
import type { CloseReason, LibvirtEvents } from './events.ts';

export interface ReconnectOptions extends Omit<OpenOptions, 'signal'> {
  /** Waits between attempts grow from `firstMs` by `factor` to `maximumMs`. Default 200 ms, × 2, 10 s. */
  readonly backOff?: { readonly firstMs: number; readonly maximumMs: number; readonly factor: number };
}

export interface ReconnectingEvents extends LibvirtEvents {
  /** A new connection stands and is subscribed. What happened before it is not told: list again. */
  connected: [connection: Connection];
  disconnected: [event: { readonly reason: CloseReason }];
  /** An attempt failed; the next is in `delayMs`. */
  'attempt-failed': [event: { readonly error: unknown; readonly failures: number; readonly delayMs: number }];
}

/**
 * Keeps one connection to `uri`: opens it, subscribes, forwards its events, and does so again with back-off after it is
 * lost. Domains and networks belong to the connection they came from: look them up again after `connected`.
 */
export class ReconnectingConnection extends EventEmitter<ReconnectingEvents> {
  readonly uri: string;
  readonly #options: ReconnectOptions;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<(connection: Connection) => void>();
  #current: Connection | null = null;
  #running: Promise<void> | null = null;

  constructor(uri: string, options: ReconnectOptions = {}) {
    super();
    this.uri = uri;
    this.#options = options;
  }

  /** Null while there is none. */
  get current(): Connection | null {
    return this.#current;
  }

  /** Starts connecting. Safe to call again. */
  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  /** The connection that stands, or the next one. @throws CallTimeoutError or the signal's reason; after `close`, an AbortError. */
  connection(options: CallOptions = {}): Promise<Connection> {
    if (this.#current !== null) return Promise.resolve(this.#current);
    return new Promise((resolve, reject) => {
      const signals = [this.#stop.signal, ...(options.signal === undefined ? [] : [options.signal])];
      for (const signal of signals) signal.throwIfAborted();
      const finish = () => {
        clearTimeout(timer);
        this.#waiting.delete(onConnected);
        for (const signal of signals) signal.removeEventListener('abort', onAbort);
      };
      const onConnected = (connection: Connection) => {
        finish();
        resolve(connection);
      };
      const onAbort = () => {
        finish();
        reject(signals.find((signal) => signal.aborted)?.reason);
      };
      // Not AbortSignal.timeout: Node may collect one that only AbortSignal.any knows, and it then never fires.
      const { timeoutMs } = options;
      const onTimeout = () => {
        finish();
        reject(new CallTimeoutError('open', timeoutMs ?? 0));
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
      for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(onConnected);
    });
  }

  /** Stops reconnecting and closes the connection that stands. */
  async close(options?: CallOptions): Promise<void> {
    this.#stop.abort();
    const current = this.#current;
    await current?.close(options);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const connection = await Connection.open(this.uri, { ...this.#options, signal });
        failures = 0;
        await this.#use(connection);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        const delayMs = this.#delayMs(failures);
        emitApart(this, 'attempt-failed', { error, failures, delayMs });
        await sleep(delayMs, signal);
      }
    }
  }

  /** Resolves when the connection has ended. */
  async #use(connection: Connection): Promise<void> {
    const ended = new Promise<CloseReason>((resolve) => {
      connection.once('close', ({ reason }) => resolve(reason));
    });
    for (const name of this.#options.events ?? EVENT_NAMES) {
      (connection as EventEmitter).on(name, (payload) => emitApart(this, name, payload));
    }
    this.#current = connection;
    if (this.#stop.signal.aborted) void connection.close().catch(() => {});
    else {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const each of waiting) each(connection);
      emitApart(this, 'connected', connection);
    }
    const reason = await ended;
    this.#current = null;
    // The daemon is gone or going: freeing our side may take as long as its silence, and nobody waits for it.
    void connection.close().catch(() => {});
    emitApart(this, 'disconnected', { reason });
  }

  #delayMs(failures: number): number {
    const { firstMs, maximumMs, factor } = this.#options.backOff ?? {
      firstMs: 200,
      maximumMs: 10_000,
      factor: 2,
    };
    return Math.min(maximumMs, firstMs * factor ** (failures - 1));
  }
}

const sleep = (delayMs: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener('abort', done, { once: true });
  });
