import { z } from 'zod';
import { examineRequest } from './doctor.ts';
import { goal } from './goal.ts';
import { heartbeat, lease } from './lease.ts';
import { migrationChannel } from './migrations.ts';
import { count, timeMs, uuid, vmId } from './primitives.ts';
import { hello, report } from './report.ts';
import { ruleQuestion } from './rule-counters.ts';

/** First answer of the controller: who it is, and how often it wants to hear from this host. */
export const welcome = z.object({
  type: z.literal('welcome'),
  protocol: z.number().int().min(1),
  fleet: uuid,
  epoch: z.number().int().min(1),
  hostName: z.string(),
  leaseMs: z.number().int().min(100),
  heartbeatMs: z.number().int().min(50),
  atMs: timeMs,
  /** This controller answers heartbeats with leases; absent: it is older than those. */
  leases: z.boolean().optional(),
});
export type Welcome = z.infer<typeof welcome>;

/** The controller asks the agent to dial `/agent/v1/streams/{streamId}` and connect it to this. */
export const openStream = z.object({
  type: z.literal('open-stream'),
  streamId: uuid,
  vmId,
  target: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('console') }),
    /** Raw bytes to and from the guest's SSH port; the user's own ssh2 client speaks through it. */
    z.object({ kind: z.literal('ssh') }),
    /** The tail of the serial console's log, then end of stream. */
    z.object({ kind: z.literal('console-log'), bytes: count }),
    /** A picture of the guest's screen, as it is now or as it was when the guest last crashed or hung; then end of stream. */
    z.object({ kind: z.literal('screenshot'), of: z.enum(['now', 'end']) }),
    /** What the host's router has counted, as a document, then end of stream. Of agents with the capability `rule-counters`. */
    z.object({ kind: z.literal('rule-counters'), ...ruleQuestion.shape }),
    /** One connection of a migration that comes here; the agent dials with `Upgrade: weft-bytes`. */
    z.object({ kind: z.literal('migration'), incarnation: count, channel: migrationChannel }),
  ]),
});
export type OpenStream = z.infer<typeof openStream>;

/** Sent before a session is closed for a reason. */
export const refusal = z.object({
  type: z.literal('refusal'),
  code: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
});
export type Refusal = z.infer<typeof refusal>;

/** Agent → controller. */
export const agentFrame = z.discriminatedUnion('type', [hello, report, heartbeat]);
export type AgentFrame = z.infer<typeof agentFrame>;

/** Controller → agent. */
export const controllerFrame = z.discriminatedUnion('type', [
  welcome,
  goal,
  openStream,
  examineRequest,
  lease,
  refusal,
]);
export type ControllerFrame = z.infer<typeof controllerFrame>;

/** Frames beyond this are refused: a goal of 1,000 VMs is about 3 MiB. */
export const MAXIMUM_FRAME_BYTES = 32 * 1024 * 1024;
