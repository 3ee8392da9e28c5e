import type { Duplex } from 'node:stream';

/** So much is held for a side that takes it more slowly. Whole memories go this way: each pause costs the side that sends its turn. */
const MOST_HELD_BYTES = 1 << 20;

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
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk) && to.writableLength >= MOST_HELD_BYTES) from.pause();
  });
  to.on('drain', () => from.resume());
  from.once('end', () => to.end());
}
