import { z } from 'zod';
import { backupReport, backupTarget } from './backups.ts';
import { doctorReport } from './doctor.ts';
import { guardState } from './lease.ts';
import { migrationReport } from './migrations.ts';
import { edgeReport, underlayOffer } from './network.ts';
import { poolPeers } from './pools.ts';
import { count, digest, name, timeMs, uuid, vmId } from './primitives.ts';
import { step, taskResult } from './steps.ts';

/** Where a VM is on its way, as its host sees it. */
export const VM_PHASES = [
  'queued',
  'fetching',
  'booting',
  'starting',
  'ready',
  'unready',
  'stopping',
  'stopped',
  'failed',
] as const;
export const vmPhase = z.enum(VM_PHASES);
export type VmPhase = z.infer<typeof vmPhase>;

export const failure = z.object({
  code: z.string().max(64),
  message: z.string().max(4096),
  remedy: z.string().max(1024).optional(),
  step: z.string().max(32).optional(),
  /** Last lines of the guest's serial console. Untrusted; control characters removed. */
  consoleTail: z.string().max(16_384).optional(),
});
export type Failure = z.infer<typeof failure>;

/**
 * Why a guest went down without anyone asking for it. `killed`: its domain ended, and not by the guest's doing. `lease`: the host's
 * guard stopped it, because the host had lost its lease.
 */
export const RESTART_CAUSES = ['panic', 'hang', 'power-off', 'reset', 'unready', 'killed', 'lease'] as const;
export type RestartCause = (typeof RESTART_CAUSES)[number];

/** Lives in a row, each too short to count, after which an agent reports an instance as failed: `guest-crash-loop`. */
export const LIVES_OF_A_CRASH_LOOP = 3;

/** What became of the guest of one incarnation on its host, as far back as the agent remembers. */
export const restarts = z.object({
  /** All of them. */
  count,
  /** The last ones, oldest first. `cause` is one of `RESTART_CAUSES`, or one that a newer agent knows. */
  recent: z
    .array(z.object({ cause: z.string().max(32), atMs: timeMs, message: z.string().max(512) }))
    .max(10),
  /** Of the last one: the end of the serial console. Untrusted; control characters removed. */
  consoleTail: z.string().max(4096).optional(),
  /** The host keeps a picture of the guest's screen as it was at the last panic, hang or unready end. */
  picture: z.boolean(),
});
export type Restarts = z.infer<typeof restarts>;

export const vmReport = z.object({
  id: vmId,
  incarnation: z.number().int().min(1),
  phase: vmPhase,
  rebootGeneration: count,
  steps: z.array(step).max(16),
  tasks: z.array(taskResult).max(256),
  failure: failure.optional(),
  /** Path of the overlay on the host, for `ps --json`. */
  overlay: z.string().max(4096).optional(),
  /** Boots of this incarnation seen by the agent. */
  boots: count,
  /** Absent: none. */
  restarts: restarts.optional(),
  /** It ran when this agent began, and nothing has happened to it since that the agent knows of. Its probe has yet to pass here. Absent: that is not so, or its agent is older. */
  foundRunning: z.boolean().optional(),
  /** Of a machine that came here with its disk while it ran: how long it stood still, and how long all of it took. Absent: it did not, or that is not known. */
  arrival: z.object({ downtimeMs: count, totalMs: count }).optional(),
  /** A newer incarnation than the goal's that runs here and is left alone: the controller has forgotten it. */
  newerFound: z.number().int().min(1).optional(),
});
export type VmReport = z.infer<typeof vmReport>;

/** A machine found on this host that the goal does not name: kept, reported, never removed. */
export const strangerReport = z.object({
  id: vmId,
  incarnation: z.number().int().min(1),
  running: z.boolean(),
  disk: z.string(),
});

/** Of what its table of connections holds: from here on a host bars guests that crowd it. */
export const NEARLY_FULL = 0.75;

export const isNearlyFull = ({ count, max }: { readonly count: number; readonly max: number }): boolean =>
  count >= max * NEARLY_FULL;

export const hostMetrics = z.object({
  cpuPercent: z.number(),
  memoryUsedMiB: z.number(),
  pools: z.array(z.object({ name: z.string(), freeMiB: z.number(), totalMiB: z.number() })),
  agentRssMiB: z.number(),
  /** The kernel's table of connections, and which guests begin none because they crowd it: ids, or addresses of those on other hosts. Absent: the host tracks none, or its agent is older. */
  connections: z.object({ count, max: count, barred: z.array(z.string().max(128)).max(4096) }).optional(),
});
export type HostMetrics = z.infer<typeof hostMetrics>;

export const report = z.object({
  type: z.literal('report'),
  /** Grows by one with every report of a session; an older one is ignored. */
  sequence: count,
  atMs: timeMs,
  bootId: z.string().max(64),
  /** Revision of the newest goal that the host was looked at with: what is reported is true under it. 0 before the first. */
  revisionSeen: count,
  /** Epoch of that goal. Absent: there was none yet, or the agent is older. */
  epochSeen: z.number().int().min(1).optional(),
  vms: z.array(vmReport),
  blobs: z.array(digest),
  strangers: z.array(strangerReport),
  /** VMs that the goal seen does not name any more and of which something is still on this host: on its way out. */
  leaving: z.array(vmId).default([]),
  metrics: hostMetrics.optional(),
  doctor: doctorReport.optional(),
  /** How each of the goal's backup tasks goes. */
  backups: z.array(backupReport).max(4096).optional(),
  /** Of the pools that this host shares with others. Absent: it has none, or has not looked yet. */
  peers: z.array(poolPeers).max(64).optional(),
  /** How long ago the look at them began, ms. */
  peersAgeMs: count.optional(),
  /** How the goal's hand-overs go. */
  migrations: z.array(migrationReport).max(4096).optional(),
  /** What this host serves to the world. Absent: it is no edge host. */
  edge: edgeReport.optional(),
  /** What is wrong with guests' network on this host, for people. Absent: nothing, or its agent is older. */
  networkProblems: z.array(z.string().max(1_024)).max(16).optional(),
  /** A goal that came and that this agent does not understand: it goes on with the one before. Absent: the newest was taken. */
  refusedGoal: z.object({ revision: count, reason: z.string().max(1024) }).optional(),
});
export type Report = z.infer<typeof report>;

export const hostFacts = z.object({
  hostname: z.string().max(253),
  architecture: z.enum(['x86_64', 'aarch64']),
  cpus: z.number().int().min(1),
  memoryMiB: z.number().int().min(1),
  kernel: z.string().max(128),
  os: z.string().max(128),
  libvirtVersion: z.string().max(32),
  qemuVersion: z.string().max(32),
  /** Which accelerator was chosen by trying, and why. */
  accelerator: z.object({ kind: z.enum(['kvm', 'tcg']), reason: z.string().max(1024) }),
  /** The processor's model, and what it can do: a guest that uses it as it is goes only to an equal one. Absent: an older agent. */
  cpu: z.object({ model: z.string().max(256), features: z.string().max(64) }).optional(),
  /** Things an operator should know: AppArmor mode, br_netfilter, missing modules … */
  notes: z.array(z.string().max(512)),
});
export type HostFacts = z.infer<typeof hostFacts>;

/**
 * A fence device of this host: a program of fence-agents (https://github.com/ClusterLabs/fence-agents) and its options, by their
 * long names. The controller runs it. A password is never here: `secret` names a file in the controller's folder of fence secrets.
 */
export const fenceDevice = z.object({
  agent: z.string().regex(/^fence_[a-z0-9_]{1,48}$/),
  options: z
    .record(z.string().regex(/^[a-z][a-z0-9_-]{0,47}$/), z.string().regex(/^[^\p{Cc}]{0,256}$/u))
    .default({}),
  secret: name.optional(),
});
export type FenceDevice = z.infer<typeof fenceDevice>;

/** What the host offers to placement: the machine's own figures less a reserve, or what its configuration says. */
export const hostOffer = z.object({
  faultDomain: z.string().max(256),
  labels: z.record(z.string(), z.string()),
  cpus: z.number().int().min(1),
  cpuRatio: z.number().positive(),
  memoryMiB: z.number().int().min(1),
  pools: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['local', 'shared', 'rbd']),
      sizeMiB: count,
      /** Of the pool itself, from its marker: two hosts share a pool when both its name and this are the same. */
      id: uuid.optional(),
      /** Of an rbd pool: the fsid of its Ceph cluster, which a storage fence shuts a host out of. */
      cluster: uuid.optional(),
    }),
  ),
  /** Where backups can go, beside the pools. */
  backups: z.array(backupTarget).optional(),
  /** In the order in which they are tried. */
  fence: z.array(fenceDevice).max(8).default([]),
  /** Absent: an older agent, or one that knows no address by which others reach it. */
  underlay: underlayOffer.optional(),
  /** It can be an edge host: a load balancer and a name server are installed, and it is not told to be none. Absent: an older agent. */
  edge: z.boolean().optional(),
});
export type HostOffer = z.infer<typeof hostOffer>;

/** Capability of an agent whose `stopped` means: it was seen to be off, and nothing is on its way that would start it. */
export const PROVES_STOPS = 'proves-stops';

export const hello = z.object({
  type: z.literal('hello'),
  protocol: z.number().int().min(1),
  hostName: z.string(),
  bootId: z.string().max(64),
  agentVersion: z.string().max(64),
  capabilities: z.array(z.string().max(64)),
  facts: hostFacts,
  offer: hostOffer,
  /** The fleet and the newest epoch this host has obeyed, if any. */
  fleet: uuid.optional(),
  epoch: z.number().int().optional(),
  /** Of the newest goal of that epoch that this agent has taken in. Absent: it has just begun, or is older. */
  revision: count.optional(),
  /** Absent: this host has no guard. */
  guard: guardState.optional(),
});
export type Hello = z.infer<typeof hello>;
