import type { Duplex } from 'node:stream';

/** So much is held for a side that takes it more slowly. Whole memories go this way: each pause costs the side that sends its turn. */
const MOST_HELD_BYTES = 1 << 20;
const CLEARED_EVERY_BYTES = 2 << 20;

/** Joins two connections until one of them closes; then the other one is closed too, when it has been told all that was said to the end. */
export function joinStreams(one: Duplex, other: Duplex): void {
  for (const [closed, left] of [
    [one, other],
    [other, one],
  ] as const) {
    closed.once('error', () => left.destroy());
    closed.once('close', () => {
      if (closed.readableEnded) left.end(() => left.destroy());
      else left.destroy();
    });
    carry(closed, left);
  }
}

/** A side that has said all it had to say is told so to the other; what that one still says goes on. */
function carry(from: Duplex, to: Duplex): void {
  let bytes = 0;
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk) && to.writableLength >= MOST_HELD_BYTES) from.pause();
    bytes += chunk.length;
    if (bytes < CLEARED_EVERY_BYTES) return;
    bytes = 0;
    clearYoung();
  });
  to.on('drain', () => from.resume());
  from.once('end', () => to.end());
  // It may have been held back until there was somewhere for it to go.
  from.resume();
}

/**
 * V8 counts the memory of chunks that are done with, and when it has been idle before, looks through all of its heap after a few MiB of them, which takes
 * more time than to carry them. A look at the young alone, where chunks are, takes less than a millisecond. Only with `--expose-gc`.
 */
function clearYoung(): void {
  const { gc } = globalThis as { gc?: (options: { type: 'minor' }) => void };
  gc?.({ type: 'minor' });
}
