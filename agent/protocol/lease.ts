import { z } from 'zod';
import { count } from './primitives.ts';

const leaseMs = z.number().int().min(1_000).max(3_600_000);

/** The watchdog device that a host's guard feeds. */
export const watchdogState = z.object({
  /** The guard has it open: unfed for `timeoutMs`, it resets the host. */
  armed: z.boolean(),
  /** It resets the host whatever becomes of the host's kernel, and of the guard: only then can its timeout prove anything. */
  dependable: z.boolean(),
  timeoutMs: count,
  /** As its driver calls it, and why it is not dependable. */
  identity: z.string().max(128),
  note: z.string().max(256).optional(),
});

/** What a host's guard is, as its agent knows. */
export const guardState = z.object({
  /** For how long a lease is granted to this host. */
  leaseMs,
  running: z.boolean(),
  /** Null: the guard has none. */
  watchdog: watchdogState.nullable(),
});
export type GuardState = z.infer<typeof guardState>;

/** Asks for a lease. Sent at every heartbeat by hosts with a guard. */
export const heartbeat = z.object({
  type: z.literal('heartbeat'),
  /** Grows over the agent's life. */
  sequence: count,
  guard: guardState,
});
export type Heartbeat = z.infer<typeof heartbeat>;

/**
 * Answers one heartbeat: the host holds a lease for `leaseMs` from the moment at which it sent that heartbeat. It also says that
 * the controller's store has what the heartbeat said of the guard.
 */
export const lease = z.object({ type: z.literal('lease'), sequence: count, leaseMs });
export type Lease = z.infer<typeof lease>;
