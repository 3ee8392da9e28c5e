import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';

/** Joins two connections until one of them ends; then the other one ends too. */
export function joinStreams(one: Duplex, other: Duplex): void {
  const end = () => {
    one.destroy();
    other.destroy();
  };
  // A side that has said all it had to say is told so to the other; what that one still says goes on.
  pipeline(one, other, (error) => error && end());
  pipeline(other, one, (error) => error && end());
  one.once('close', end);
  other.once('close', end);
}
