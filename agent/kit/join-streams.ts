import type { Duplex } from 'node:stream';

/** So much is held for a side that takes it more slowly. Whole memories go this way: each pause costs the side that sends its turn. */
const MOST_HELD_BYTES = 1 << 20;
const CLEARED_EVERY_BYTES = 2 << 20;
/** About what a socket to QEMU takes at once. */
const GATHERED_BYTES = 256 << 10;

/** Joins two connections until one of them closes; then the other one is closed too, when it has been told all that was said to the end. */
export function joinStreams(one: Duplex, other: Duplex): void {
  for (const [closed, left] of [
    [one, other],
    [other, one],
  ] as const) {
    const passOn = carry(closed, left);
    closed.once('error', () => {
      passOn();
      left.destroy();
    });
    closed.once('close', () => {
      passOn();
      if (closed.readableEnded) left.end(() => left.destroy());
      else left.destroy();
    });
  }
}

/**
 * A side that has said all it had to say is told so to the other; what that one still says goes on. What comes in one turn of the event
 * loop goes on together: TLS gives a memory in pieces of 16 KiB, and each of them would cost a call, and wake up who reads.
 * @returns passes on at once what has come.
 */
function carry(from: Duplex, to: Duplex): () => void {
  let gathered: Buffer[] = [];
  let size = 0;
  let sinceCleared = 0;
  let turnEnds: NodeJS.Immediate | null = null;
  const passOn = () => {
    if (turnEnds !== null) clearImmediate(turnEnds);
    turnEnds = null;
    const [pieces, bytes] = [gathered, size];
    [gathered, size] = [[], 0];
    if (bytes === 0 || to.destroyed) return;
    to.cork();
    for (const piece of pieces) to.write(piece);
    to.uncork();
    if (to.writableLength >= MOST_HELD_BYTES) from.pause();
    sinceCleared += bytes;
    if (sinceCleared < CLEARED_EVERY_BYTES) return;
    sinceCleared = 0;
    clearYoung();
  };
  from.on('data', (piece: Buffer) => {
    gathered.push(piece);
    size += piece.length;
    if (size >= GATHERED_BYTES) passOn();
    else turnEnds ??= setImmediate(passOn);
  });
  to.on('drain', () => from.resume());
  from.once('end', () => {
    passOn();
    to.end();
  });
  // It may have been held back until there was somewhere for it to go.
  from.resume();
  return passOn;
}

/**
 * V8 counts the memory of chunks that are done with, and when it has been idle before, looks through all of its heap after a few MiB of them, which takes
 * more time than to carry them. A look at the young alone, where chunks are, takes less than a millisecond. Only with `--expose-gc`.
 */
function clearYoung(): void {
  const { gc } = globalThis as { gc?: (options: { type: 'minor' }) => void };
  gc?.({ type: 'minor' });
}
