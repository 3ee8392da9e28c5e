/**
 * Who wants to know of which signal's abort. However many wait on one signal it has one listener, as Node warns of a
 * leak from the eleventh on.
 */
export class SignalWatch {
  readonly #waiting = new Map<
    AbortSignal,
    { readonly tell: Set<() => void>; readonly listener: () => void }
  >();

  /** @returns what ends the watch. */
  add(signal: AbortSignal, onAbort: () => void): () => void {
    const entry = this.#waiting.get(signal) ?? this.#listen(signal);
    entry.tell.add(onAbort);
    return () => {
      entry.tell.delete(onAbort);
      if (entry.tell.size > 0) return;
      signal.removeEventListener('abort', entry.listener);
      this.#waiting.delete(signal);
    };
  }

  #listen(signal: AbortSignal) {
    const tell = new Set<() => void>();
    const listener = () => {
      for (const each of [...tell]) each();
    };
    const entry = { tell, listener };
    this.#waiting.set(signal, entry);
    signal.addEventListener('abort', listener, { once: true });
    return entry;
  }
}
