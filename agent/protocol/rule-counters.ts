import { z } from 'zod';
import { count, ipAddress, port, timeMs } from './primitives.ts';

/** Capability of an agent that tells what its router's rules have counted. */
export const COUNTS_RULES = 'rule-counters';

/** What is asked of a host's router: of a connection between two guests, by the addresses of each family. */
export const ruleQuestion = z.object({
  pairs: z
    .array(z.object({ from: ipAddress, to: ipAddress }))
    .min(1)
    .max(2),
  protocol: z.enum(['tcp', 'udp']),
  port,
});
export type RuleQuestion = z.infer<typeof ruleQuestion>;

/** Packets of established connections are not among them: they pass before any rule of a flow is asked. */
export const ruleCounters = z.object({
  /** `pass`: of the flow that lets it through. `drop`: of all together that no flow lets through. `none`: this host has no such rules. */
  rule: z.enum(['pass', 'drop', 'none']),
  packets: count,
  bytes: count,
  /** Connections that the asking guest wanted to begin with anybody, and that were dropped: they were over its pace. Absent: it is not on this host, or has none. */
  overPace: count.optional(),
  /** When the rules were put in place, on the host's clock: each time, counting begins anew. Null: there are none. */
  sinceMs: timeMs.nullable(),
});
export type RuleCounters = z.infer<typeof ruleCounters>;
