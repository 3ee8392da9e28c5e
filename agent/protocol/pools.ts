import { z } from 'zod';
import { name, uuid } from './primitives.ts';

/** Hosts of one pool that are looked at; more than mount one file system. */
export const MOST_PEERS = 256;

/**
 * What a host has left in a pool that hosts share, and what it finds of others there: those who write to one storage see each other's
 * beats, and those who have a copy of it do not.
 */
export const poolPeers = z.object({
  pool: name,
  /** The pool's own. */
  id: uuid,
  /** What this host has written there: the last one, and the one before where that was written to the same mount. */
  beats: z.array(uuid).min(1).max(8),
  /** Other host → the beat of its that is there. */
  seen: z.record(name, uuid),
});
export type PoolPeers = z.infer<typeof poolPeers>;
