import type { Duplex } from 'node:stream';

/** Joins two connections until one of them closes; then the other one is closed too. */
export function joinStreams(one: Duplex, other: Duplex): void {
  const end = () => {
    one.destroy();
    other.destroy();
  };
  for (const stream of [one, other]) stream.once('error', end).once('close', end);
  // A side that has said all it had to say is told so to the other; what that one still says goes on.
  one.pipe(other);
  other.pipe(one);
}
