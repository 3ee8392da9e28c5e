import { z } from 'zod';
import { count, ipAddress, port, timeMs } from './primitives.ts';

/** Capability of an agent that tells what its router's rules have counted of flows between subnets. */
export const COUNTS_RULES = 'rule-counters';
/** Capability of one that tells of every connection with an end on its host: also within a subnet, with the world, and of more pairs than two. */
export const COUNTS_EVERYWHERE = 'rule-counters-everywhere';

/** Pairs that an agent without that capability takes. */
export const FEW_PAIRS = 2;
/** Each is looked up for itself. */
export const MOST_PAIRS = 16;

/** What is asked of a host's router: of a connection by the addresses of its ends, one pair for each family, or for each load balancer that it may come from. */
export const ruleQuestion = z.object({
  pairs: z
    .array(z.object({ from: ipAddress, to: ipAddress }))
    .min(1)
    .max(MOST_PAIRS),
  protocol: z.enum(['tcp', 'udp']),
  port,
});
export type RuleQuestion = z.infer<typeof ruleQuestion>;

/**
 * What has counted, where it is no flow, and of whom: an element of the asking guest (`own`), a rule of its network, or one for all guests of the host.
 * `mesh-from`, `mesh-to`: what begins TCP connections within its mesh, from the guest or to it. `apart`: what it sends to others on its bridge.
 * `outbound-own`, `outbound-network`: what lets it out. `outbound`: that nothing does. `never`, `guarded`: addresses that no guest reaches, and those on the
 * host's own links. `host`: what guests send to the host itself.
 */
const countedBy = z.enum([
  ...(['mesh-from', 'mesh-to', 'apart', 'outbound-own', 'outbound-network'] as const),
  ...(['outbound', 'never', 'guarded', 'host'] as const),
]);
export type CountedBy = z.infer<typeof countedBy>;

/** Packets of established connections are not among them: they pass before any rule of a flow is asked. */
export const ruleCounters = z.object({
  /** `pass`: of what lets it through. `drop`: of what drops it, with all else that it drops. `none`: this host has no such rules. */
  rule: z.enum(['pass', 'drop', 'none']),
  /** Absent: a flow, or that none lets it through. */
  by: countedBy.optional(),
  /** Of `outbound-own` and `outbound-network`: what is named. Absent: all of the world. */
  prefix: z.string().max(64).optional(),
  packets: count,
  bytes: count,
  /** Connections that the asking guest wanted to begin with anybody, and that were dropped: they were over its pace. Absent: it is not on this host, or has none. */
  overPace: count.optional(),
  /** When the rules were put in place, on the host's clock: each time, counting begins anew. Null: there are none. */
  sinceMs: timeMs.nullable(),
});
export type RuleCounters = z.infer<typeof ruleCounters>;
