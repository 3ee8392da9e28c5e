import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { CallOptions } from './call-options.ts';
import { AddonNotBuiltError, CallTimeoutError, LibvirtError } from './errors.ts';
import type {
  NativeAddon,
  NativeMessage,
  NativeSession,
  Notice,
  OperationName,
  Operations,
  Settled,
} from './native.ts';
import { SignalWatch } from './signal-watch.ts';

/** The longest that `setTimeout` can wait; more would fire at once. */
const MAXIMUM_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * The calls under way and who listens to which connection. Invariants: a call settles once; a call that is withdrawn
 * never settles later; the process is kept alive exactly while a call is under way.
 */
export class Library {
  readonly #session: NativeSession;
  readonly #calls = new Map<number, (message: Settled) => void>();
  readonly #signals = new SignalWatch();
  readonly #listeners = new Map<number, (notice: Notice) => void>();
  #lastCall = 0;

  constructor(addon: NativeAddon) {
    this.#session = addon.start((batch) => this.#dispatch(batch));
  }

  /**
   * @param receive what to make of the result, within the batch that brings it: before any notice that follows.
   */
  run<Name extends OperationName>(
    operation: Name,
    parameters: Operations[Name]['arguments'],
    options?: CallOptions,
  ): Promise<Operations[Name]['result']>;
  run<Name extends OperationName, Result>(
    operation: Name,
    parameters: Operations[Name]['arguments'],
    options: CallOptions | undefined,
    receive: (value: Operations[Name]['result']) => Result,
  ): Promise<Result>;
  run(
    operation: OperationName,
    parameters: readonly unknown[],
    options: CallOptions = {},
    receive: (value: never) => unknown = (value) => value,
  ): Promise<unknown> {
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const call = ++this.#lastCall;
      let timer: NodeJS.Timeout | undefined;
      let unwatch: (() => void) | undefined;
      const forget = () => {
        clearTimeout(timer);
        unwatch?.();
        this.#calls.delete(call);
        if (this.#calls.size === 0) this.#session.hold(false);
      };
      const withdraw = (reason: unknown) => {
        forget();
        this.#session.cancel(call);
        reject(reason);
      };
      const settle = ({ error, value }: Settled) => {
        forget();
        if (error === undefined) resolve(receive(value as never));
        else reject(new LibvirtError(error, operation));
      };
      // A wrong argument throws here, before anything is registered.
      (this.#session[operation] as (call: number, ...rest: readonly unknown[]) => void)(call, ...parameters);
      if (this.#calls.size === 0) this.#session.hold(true);
      this.#calls.set(call, settle);
      if (signal !== undefined) unwatch = this.#signals.add(signal, () => withdraw(signal.reason));
      if (timeoutMs !== undefined) {
        const waitMs = Math.min(timeoutMs, MAXIMUM_TIMEOUT_MS);
        timer = setTimeout(() => withdraw(new CallTimeoutError(operation, timeoutMs)), waitMs);
      }
    });
  }

  listen(connection: number, listener: (notice: Notice) => void): void {
    this.#listeners.set(connection, listener);
  }

  unlisten(connection: number): void {
    this.#listeners.delete(connection);
  }

  #dispatch(batch: readonly NativeMessage[]): void {
    for (const message of batch) {
      try {
        if ('call' in message) this.#calls.get(message.call)?.(message);
        else this.#listeners.get(message.connection)?.(message);
      } catch (error) {
        // A listener's error is its owner's; the rest of the batch still arrives.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

const ADDON = fileURLToPath(new URL('../build/Release/node_libvirt.node', import.meta.url));

const load = (): Library => {
  try {
    return new Library(createRequire(import.meta.url)(ADDON) as NativeAddon);
  } catch (error) {
    throw new AddonNotBuiltError(ADDON, error);
  }
};

// One session for all connections: this cell keeps their calls together, so that any of them holds the process.
const loaded: { library?: Library } = {};

/** Loads the compiled part on first use. @throws AddonNotBuiltError. */
export function loadLibrary(): Library {
  loaded.library ??= load();
  return loaded.library;
}
