/** As far as a typed EventEmitter is seen here: the compiler cannot follow a union of events through its own `emit`. */
interface Emitter {
  emit(event: never, ...payload: never): boolean;
}

/**
 * Emits so that a listener's error is its owner's (an uncaught exception) and holds up nothing here. That event and
 * payload belong together is the caller's word.
 */
export function emitApart(emitter: Emitter, event: string, payload: unknown): void {
  try {
    emitter.emit(event as never, ...([payload] as never));
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
