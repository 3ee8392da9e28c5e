import { z } from 'zod';
import { count, timeMs, uuid } from './primitives.ts';

/** One thing on a host that is not as it should be. */
export const findingReport = z.object({
  kind: z.string().max(64),
  /** A path, or a name that libvirt or the kernel knows. */
  subject: z.string().max(4096),
  severity: z.enum(['note', 'warning', 'error']),
  message: z.string().max(8192),
  remedy: z.string().max(1024).optional(),
  /** What the agent does about it in time, or when asked; absent: nothing. */
  repair: z.string().max(1024).optional(),
  /** When it was first seen so since the agent's start, on the host's clock. */
  sinceMs: timeMs,
});
export type FindingReport = z.infer<typeof findingReport>;

/** What the host's doctor saw when it last looked. */
export const doctorReport = z.object({
  /** On the host's clock. */
  atMs: timeMs,
  /** Ids of the newest `examine` requests that have been answered by this look or an earlier one. */
  answered: z.array(uuid).max(16),
  /** Why it could not look; what follows is then of an earlier look. */
  problem: z.string().max(1024).optional(),
  /** How many findings there are; the worst of them follow. */
  count,
  findings: z.array(findingReport).max(100),
  /** Pools without space: nothing new may be placed there. */
  fullPools: z.array(z.string().max(64)),
});
export type DoctorReport = z.infer<typeof doctorReport>;

/** Controller → agent: look now. Answered by a report whose `doctor` names the id among those answered. Of agents with the capability `doctor`. */
export const examineRequest = z.object({
  type: z.literal('examine'),
  requestId: uuid,
  /** Repair what can be repaired, without waiting for the grace time. */
  repair: z.boolean(),
  /** Read the layers below disks again, and compare their digests. */
  digests: z.boolean(),
});
export type ExamineRequest = z.infer<typeof examineRequest>;
