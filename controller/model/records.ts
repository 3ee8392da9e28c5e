import type {
  BlobRef,
  Failure,
  FenceDevice,
  GuardState,
  HostFacts,
  HostOffer,
  ImageGoal,
  MadeBackup,
  Restarts,
  RestoreGoal,
  Step,
  TaskResult,
  VmPhase,
} from '../../agent/protocol/index.ts';
import type { LastMove, LiveMove, MoveMode, MoveWait } from './live-move.ts';
import type { PublicAddress } from './public-address.ts';
import type { Endpoint, Machine, Role, Service, Size } from './service.ts';

/** What the store holds. Key of each record in its comment. */

/** `fleet` */
export interface FleetRecord {
  readonly uuid: string;
  readonly epoch: number;
  /** Guest address range; every role gets a /22 of it, and the last one is the routers'. */
  readonly range: string;
  /** Domain of all names. Of the controller's configuration, and in no store. Absent: the usual one. */
  readonly zone?: string;
  /** Addresses that applications and public machines are reached at, as `192.0.2.200-192.0.2.219/24`. Absent: none. */
  readonly public?: readonly string[];
  /**
   * What goes between hosts is encrypted: where both can (`prefer`), or not at all where one cannot (`require`). Of the controller's
   * configuration, and in no store. Absent: it is not.
   */
  readonly encrypt?: 'prefer' | 'require';
  /** Addresses of the controller's machine and of fence devices that its own secrets name: no guest reaches them. Looked at again and again, and in no store. */
  readonly devices?: readonly string[];
}

/** `apps/{app}` */
export interface ApplicationRecord {
  readonly name: string;
  readonly service: Service;
  /** The YAML as it was applied. */
  readonly source: string;
  readonly generation: number;
  readonly createdAtMs: number;
  /** Set by a user's delete; the record goes when its last VM is gone. */
  readonly deleting: boolean;
  /** Where the world reaches it, of the fleet's public ranges. Absent: it has no address of its own. */
  readonly public?: PublicAddress;
  /** Machine → its own public address, until nothing is left of the machine. Absent: none has one. */
  readonly publicMachines?: Readonly<Record<string, PublicAddress>>;
  /** Roles that are not declared any more, publish something, and may have instances left: as they were. Absent: none. */
  readonly retired?: Readonly<Record<string, Role>>;
  /** Machines that a user has deleted, that publish something, and of which connections have yet to end: as they were. Absent: none. */
  readonly retiredMachines?: Readonly<Record<string, Machine>>;
  /** Such a role, or the network of such machines → ids of flows that let it in, whatever is declared of them by now. Absent: there are none, or the record is older. */
  readonly retiredFlows?: Readonly<Record<string, readonly string[]>>;
  /**
   * Role → definition → endpoints as they were declared with it, for as long as an instance may be made from it: it answers where it did.
   * Absent: all are as the role declares them.
   */
  readonly former?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Endpoint>>>>>>;
}

/** 08, 14. */
export const VM_STATES = [
  'pending',
  'placing',
  'fetching',
  'booting',
  'starting',
  'ready',
  'unready',
  'draining',
  'stopping',
  'stopped',
  'migrating',
  'unknown',
  'failed',
  'backing-off',
] as const;
export type VmState = (typeof VM_STATES)[number];

/** `vms/{app}/{name}`: one instance or machine, across all its incarnations. */
export interface VmRecord {
  readonly id: string;
  readonly app: string;
  /** Null: a machine. */
  readonly role: string | null;
  readonly index: number | null;
  readonly kind: 'worker' | 'web' | 'vm' | 'machine';
  readonly state: VmState;
  /** New with every change of state, so that a late result of an earlier attempt cannot match. */
  readonly attempt: number;
  /** 0 before the first placement, unless the name was used before. Only ever grows, over all VMs of one name. */
  readonly incarnation: number;
  readonly host: string | null;
  readonly power: 'running' | 'stopped';
  /** SHA-256 of the definition this incarnation was made from; another one in the service means: replace. */
  readonly definition: string;
  readonly image: ImageGoal | null;
  readonly size: Size;
  readonly pool: string;
  /** A machine's: id of the pool that its disk is in; null before its first placement, and on pools that have none. */
  readonly poolId: string | null;
  /** A machine's: the last incarnation known to have had its disk; 0: none yet. */
  readonly diskIncarnation: number;
  /** A machine's: the backup that its disk was last made from, or is being made from; absent or null: none. */
  readonly restore?: RestoreGoal | null;
  /** Set by an accepted restore in place; the next plan gives a new incarnation that begins with it, and clears it. */
  readonly restoreRequested?: RestoreGoal | null;
  /** What proved that the copy before this incarnation was dead; null: none was needed. */
  readonly proof: Proof | null;
  readonly networkId: string;
  readonly address: string;
  readonly mac: string;
  /** The first incarnation that had this address. Absent: every one of this record did. */
  readonly addressSince?: number;
  readonly rebootGeneration: number;
  /** The generation that its host is told of while a reboot waits for connections to end. Absent or null: none waits. */
  readonly rebootFrom?: number | null;
  /** Set by `weft reimage`; the next plan gives a new incarnation on the same host and clears it. */
  readonly reimageRequested: boolean;
  /** Set by `weft move`; host name, or `*` for anywhere else. */
  readonly moveTo: string | null;
  /** How a machine may be moved by `moveTo`. Absent: stopped, as it was asked for by an older build. */
  readonly moveMode?: MoveMode;
  /** What `moveTo` waits for before it can be judged. Absent or null: nothing. */
  readonly moveWait?: MoveWait | null;
  /** Its disk may be copied along, where both hosts do not have it. */
  readonly moveCopies?: boolean;
  /**
   * A machine that came here with a copy of its disk: where the old one is, and up to which incarnation, until it is ready here.
   * Absent or null: there is none.
   */
  readonly copiedFrom?: { readonly host: string; readonly incarnation: number } | null;
  /** The incarnation that came here standing still: how long it did so is told when it is ready. Absent or null: that is told. */
  readonly landing?: number | null;
  /** Absent or null: it never has. */
  readonly lastMove?: LastMove | null;
  /** What is to take its place, on another host. Absent or null: nothing is. */
  readonly successor?: Successor | null;
  /** The highest incarnation that any successor was given, also of those that came to nothing. Absent: no successor ever was. */
  readonly highestIncarnation?: number;
  /** What has kept it from leaving its host since it was asked to. Absent or null: nothing. */
  readonly stay?: Stay | null;
  /** In a row; forgiven when it has been ready for a while. The waits between tries grow with it. */
  readonly failures: number;
  /** Host → how often it failed there since it was last forgiven. A crash loop counts for as many as its lives. */
  readonly failedOn: Readonly<Record<string, number>>;
  /** What its guest went through on its host, of the newest incarnation that was restarted there; null: none ever was. */
  readonly restarts: (Restarts & { readonly host: string; readonly incarnation: number }) | null;
  /** Not before this time; null when not backing off. */
  readonly retryAtMs: number | null;
  readonly failure: Failure | null;
  readonly steps: readonly Step[];
  readonly tasks: readonly TaskResult[];
  readonly phase: VmPhase | null;
  readonly overlay: string | null;
  readonly createdAtMs: number;
  readonly stateSinceMs: number;
  readonly readyAtMs: number | null;
  /** Going: wanted by nobody any more (scaled in, or it or its application is being deleted). */
  readonly deleting: boolean;
  /** A machine's: a user has deleted it, and its disk; it goes when connections to it have ended. Never taken back. Absent: nobody has. */
  readonly deleteRequested?: boolean;
  /** It is about to go: until when, at most, its connections are waited for. Absent or null: it is not. */
  readonly drain?: Drain | null;
  /** Why it was placed where it is, or why nowhere: per host, reasons. */
  readonly placement: PlacementExplanation | null;
}

/** It is going, or is to go whatever else is asked of it. */
export const isToGo = ({
  deleting,
  deleteRequested,
}: Pick<VmRecord, 'deleting' | 'deleteRequested'>): boolean => deleting || deleteRequested === true;

/** Why a VM has no new connections, beside that nobody wants it or that its successor is ready. */
export interface Drain {
  readonly untilMs: number;
  /** It is to be replaced by one of another definition, where there is room, without a successor. */
  readonly inPlace?: boolean;
  /** Its host is told to reboot it, and has until then to say that it does. */
  readonly rebooting?: boolean;
}

/**
 * A new incarnation on another host, while the present one goes on here. Of an instance: it is made there, and takes the
 * present one's place, in one transaction, when it is ready. Of a machine that moves while it runs: it comes there from here. Of one
 * that is stopped for it: its place there is kept until its agent here has said that it has stopped; no host hears of it before.
 */
export interface Successor {
  readonly host: string;
  readonly incarnation: number;
  readonly kind: VmRecord['kind'];
  readonly definition: string;
  readonly image: ImageGoal;
  readonly size: Size;
  readonly pool: string;
  /** A machine keeps its address, an instance gets another one: for a while both are there. */
  readonly address: string;
  readonly mac: string;
  readonly state: VmState;
  readonly phase: VmPhase | null;
  readonly failure: Failure | null;
  readonly steps: readonly Step[];
  readonly tasks: readonly TaskResult[];
  readonly restarts: VmRecord['restarts'];
  readonly overlay: string | null;
  readonly placement: PlacementExplanation;
  readonly sinceMs: number;
  /** Of a machine that moves while it runs. Absent or null: it is stopped for it. */
  readonly live?: LiveMove | null;
}

/** Tries to leave that failed. */
export interface Stay {
  /** `drain.atMs` of its host when they were made: asked again, it is tried again. 0: a move. */
  readonly askedAtMs: number;
  readonly failures: number;
  readonly failedOn: Readonly<Record<string, number>>;
  /** Not tried again before this time; null: not tried again by itself. */
  readonly retryAtMs: number | null;
  readonly message: string;
}

export interface PlacementExplanation {
  readonly atMs: number;
  readonly chosen: string | null;
  readonly hosts: readonly {
    readonly host: string;
    readonly accepted: boolean;
    readonly score: number | null;
    /** One sentence per filter that refused or scorer that weighed. */
    readonly reasons: readonly string[];
  }[];
}

/** `suspect`: not heard for a moment, or its session ended. `fenced`: down, and proven to be dead. */
export const HOST_STATES = ['joining', 'up', 'suspect', 'down', 'fenced'] as const;
export type HostState = (typeof HOST_STATES)[number];

/** What an operator wants of a host, apart from how it is. `maintenance`: it drains, and nothing of ours is left on it. */
export const HOST_MODES = ['in-service', 'draining', 'maintenance'] as const;
export type HostMode = (typeof HOST_MODES)[number];

/**
 * Proof of a host's death, or of a machine's on it (`agent`: it was asked to stop it, and said that it has; `storage-fence`: its host
 * was shut out of its disk). Nothing else is one.
 */
export interface Proof {
  readonly kind: 'fence-device' | 'lease-expired' | 'operator' | 'agent' | 'storage-fence';
  readonly host: string;
  readonly atMs: number;
  /** Which device said so, which lease ran out, or who signed. */
  readonly detail: string;
  /** Of `lease-expired`. */
  readonly lease?: LeaseEvidence;
}

/** Why nothing of a host's machines on shared pools can run any more. */
export interface LeaseEvidence {
  /** Unix ms: when the last lease was granted, or when the controller began that cannot have granted any before. */
  readonly lastGrantMs: number;
  readonly leaseMs: number;
  readonly watchdogTimeoutMs: number;
  readonly marginMs: number;
}

/**
 * `encrypted`, to hosts that can. `broken`: likewise, but its tunnel does not stand. `open`: it is not encrypted. `alone`: it may go only encrypted, and
 * cannot be; the host takes no VMs. `untold`: it goes otherwise than before, and the host's agent is not known to have heard of that.
 */
export interface EncryptionStanding {
  readonly state: 'encrypted' | 'broken' | 'open' | 'alone' | 'untold';
  /** Null: it is encrypted. */
  readonly problem: string | null;
}

/** `absent`: it lacks the programs for one. `failed`: it does not answer, or another program does at its port. */
export type NameServerFault = 'absent' | 'failed';

/** `hosts/{host}` */
export interface HostRecord {
  readonly name: string;
  /** Of its router on the backbone, 2 to 1,000, one of its own. Absent: it has none, as long as it says nothing of the underlay. */
  readonly number?: number;
  readonly state: HostState;
  /** Why it is in this state: what was heard, or not heard, and when. */
  readonly evidence: string;
  /** Set while `fenced`. */
  readonly proof: Proof | null;
  /** How fencing goes since the host is down; null: it was not tried. */
  readonly fencing: {
    readonly attempts: number;
    readonly message: string;
    /** The last attempt was a storage fence's, and succeeded: nothing of that host's disks in Ceph is written any more. */
    readonly isShutOut?: boolean;
  } | null;
  /** Unix ms of the times it went down within the last hour, oldest first. */
  readonly downsAtMs: readonly number[];
  /** It went down again and again: takes nothing new before this time. Null: not held off. */
  readonly heldOffUntilMs: number | null;
  /** Healing was held while it and too many others were silent, and goes on: it has until then to be heard as well. Absent or null: no such time. */
  readonly awaitedUntilMs?: number | null;
  /** What was given up on it while it was away: VM id → highest incarnation. Gone when the host has removed it. */
  readonly superseded: Readonly<Record<string, number>>;
  /** Machines that work elsewhere with a copy of the disk that they had here: VM id → up to which incarnation. Gone when the host has removed it. */
  readonly copiedAway?: Readonly<Record<string, number>>;
  readonly draining: boolean;
  /** How its draining was asked for. Absent or null: it was not. */
  readonly drain?: {
    readonly atMs: number;
    readonly by: string;
    /** Machines on shared pools are stopped for it, even where they could move while they run. */
    readonly cold: boolean;
    /** Machines on shared pools are never stopped for it: what cannot move while it runs stays. */
    readonly live?: boolean;
    /** Disks of machines on pools of its own may be copied along. */
    readonly copies?: boolean;
    /** VMs that were on it then. */
    readonly vms: number;
    /** The roll that it drains for, and the boot that this is to end. Absent: none. */
    readonly roll?: Roll & { readonly bootId: string | null };
  } | null;
  /** The last roll that has booted it anew. Absent: none ever has. */
  readonly rolled?: Roll;
  /** Absent: in service. */
  readonly mode?: HostMode;
  /** Boot id of the boot that is to end. Absent or null, or of an earlier boot: none. */
  readonly rebootOf?: string | null;
  /** Names of its pools that have run out of space, sorted. Absent: none ever has. */
  readonly fullPools?: readonly string[];
  /** Pool → what this host leaves and finds in those that it shares. Absent: its agent has said nothing of that. */
  readonly sharedPools?: Readonly<Record<string, SharedPoolView>>;
  /** Pool → hosts that offer it under the same name and id, and in fact have another storage. Absent: none do. */
  readonly apartPools?: Readonly<Record<string, ApartPool>>;
  /** What it last said of its guard, before it was answered. Null or absent: it has none. Written by the fleet's leases only. */
  readonly guard?: GuardState | null;
  /** Why it takes no VMs: a network of its own overlaps a range of the fleet's; both are named. Absent or null: none does. */
  readonly collision?: string | null;
  /** How its traffic to other hosts goes, where it is to be encrypted. Absent or null: nobody asks for that, or it is on no underlay. */
  readonly encryption?: EncryptionStanding | null;
  /** Public addresses that nobody has any more and that this host may still have: not known to have heard of it. Absent: none. */
  readonly formerAddresses?: readonly PublicAddress[];
  /** Numbers of subnets that are no more and whose guests it may still serve, likewise. Absent: none. */
  readonly formerSubnets?: readonly number[];
  /** Why it serves no names, of one that is to. Absent or null: it serves them, or has said nothing of it. */
  readonly nameServer?: NameServerFault | null;
  /** Why its agent cannot take its goal. Absent or null: it takes them. */
  readonly refusedGoal?: string | null;
  readonly facts: HostFacts | null;
  readonly offer: HostOffer | null;
  readonly bootId: string | null;
  readonly joinedAtMs: number;
  /** Last change of state. Heartbeats are not written to the store. */
  readonly stateSinceMs: number;
  readonly certificateFingerprint: string;
}

/** Of one pool of a host, as its agent said last. */
export interface SharedPoolView {
  /** The pool's own, from its marker. */
  readonly id: string;
  /** What the host wrote there, the last first. */
  readonly beats: readonly string[];
  /** Unix ms: when the controller first heard of the last one. */
  readonly sinceMs: number;
  /** Other host → whether it was found to write to the same storage. Absent: not known yet. */
  readonly seen: Readonly<Record<string, boolean>>;
  /** Other hosts that are up and of which that is not known yet, sorted. Absent: none. */
  readonly unfound?: readonly string[];
}

export interface ApartPool {
  /** Sorted. */
  readonly from: readonly string[];
  /** This host's storage is the one that fewer use: no machine is made there. */
  readonly isOdd: boolean;
}

/** Hosts that are booted anew, one fault domain after another, by who asked for it. What is done of it is on their records. */
export interface Roll {
  /** When it began, and a word of its own. */
  readonly id: string;
  /** All of its hosts. */
  readonly hosts: readonly string[];
}

/** `fencing/{host}`: what was tried to prove a host's death, and whether it was. Written by the fencer and by operators. */
export interface FencingRecord {
  readonly host: string;
  /** `stateSinceMs` of the host when it went down: an answer to an earlier death proves nothing about this one. */
  readonly downSinceMs: number;
  readonly attempts: readonly {
    readonly atMs: number;
    readonly ms: number;
    /** `fence_ipmilan (1 of 2)` */
    readonly device: string;
    readonly off: boolean;
    readonly message: string;
  }[];
  /** Attempts in all; only the last ones are kept above. */
  readonly tried: number;
  readonly proof: Proof | null;
  /** Storage that the host was shut out of, or may have been: kept, whatever becomes of the host, until it is let in again. Absent: none. */
  readonly storage?: readonly StorageFence[];
}

/** One storage fence of a host, written before the storage is told. */
export interface StorageFence {
  readonly device: FenceDevice;
  /** As of the fencing record. */
  readonly downSinceMs: number;
  /** Ids of the host's pools that it is shut out of; before that is proven, of all that it may be. */
  readonly pools: readonly string[];
  /** Null: it is not known whether the storage was told. */
  readonly proof: Proof | null;
  /** The storage has let the host in again. */
  readonly lifted?: boolean;
  /** It had not shut it out. */
  readonly wasNever?: boolean;
}

/** `claims/{host}`: written in the same transaction as every placement on that host. Key of `vms` is `id@incarnation`. */
export interface ClaimsRecord {
  readonly vms: Readonly<
    Record<
      string,
      { readonly cpus: number; readonly memoryMiB: number; readonly diskMiB: number; readonly pool: string }
    >
  >;
}

/** `images/{name}/versions/{version}`: immutable. */
export interface ImageRecord {
  readonly name: string;
  readonly version: string;
  readonly goal: ImageGoal;
  readonly virtualSizeBytes: number;
  readonly sizeBytes: number;
  readonly sourceFormat: string;
  readonly createdAtMs: number;
  /** The publisher's own key for `--seed none` images is kept as a secret blob; this is its file name in the secrets folder. */
  readonly sshKeySecret: string | null;
}

/** `images/{name}/channels/{channel}`: movable. */
export interface ChannelRecord {
  readonly version: string;
  readonly movedAtMs: number;
}

/** `networks/{app}/{role}` (of machines: their network's name, `machines` unless they name one; no role may be called so). */
export interface NetworkRecord {
  readonly id: string;
  readonly number: number;
  readonly cidr: string;
  readonly gateway: string;
  /** VM id → address. `id@incarnation`: of a successor, or of what may still run somewhere, from that incarnation on. */
  readonly addresses: Readonly<Record<string, string>>;
}

/**
 * `incarnations/{app}`: kept for good. A VM that is made again under a name that was used before begins above this, so that
 * whatever an absent host still has of the earlier one is older, and goes.
 */
export interface IncarnationsRecord {
  /** Highest incarnation of any VM of the application that is gone. */
  readonly highest: number;
}

/** `tombstones/{app}/{machine}`: a user deleted this machine. Removed when its host has reported the disk gone. */
export interface TombstoneRecord {
  readonly id: string;
  readonly host: string;
  readonly upToIncarnation: number;
  readonly atMs: number;
}

/** `removed/{host}`: an operator removed it, then. Gone when a host of that name joins. */
export interface RemovedRecord {
  readonly host: string;
  readonly atMs: number;
}

/** A restore that was asked for, from one backup. Nothing is made before its host has read the whole backup and found it good. */
export interface RestoreRecord {
  readonly request: string;
  /** The machine that is to begin with it; the backup's own machine: in place. */
  readonly as: string;
  /** Which host reads it. */
  readonly host: string;
  readonly state: 'verifying' | 'accepted' | 'refused';
  readonly failure: Failure | null;
  readonly askedAtMs: number;
}

/** `backups/{app}/{machine}/{id}`: outlives its machine, and its application. */
export interface BackupRecord {
  /** `20260102t030405`, in UTC. */
  readonly id: string;
  readonly vmId: string;
  readonly app: string;
  /** `wanted` until its host has made it. `removing`: its files go, then the record. */
  readonly state: 'wanted' | 'done' | 'failed' | 'removing';
  readonly reason: 'asked' | 'scheduled';
  /** Name of a folder or pool of its host. */
  readonly target: string;
  /** Which one: hosts with the same one can read it. Null: its host alone. */
  readonly targetId: string | null;
  readonly host: string;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly failure: Failure | null;
  /** Null until it is done. */
  readonly made: MadeBackup | null;
  /** What a machine that is restored from it is made like. */
  readonly image: { readonly name: string; readonly version: string };
  readonly size: Size;
  readonly pool: string;
  /** The last one that was asked for; null: none. */
  readonly restore: RestoreRecord | null;
}

/** What is known of a certificate that the controller keeps. Its file, with the key, is among the secrets. */
export interface KeptCertificate {
  /** Of the file. */
  readonly digest: string;
  /** DNS names that it is for. */
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of its DER, hex: what browsers show. */
  readonly fingerprint: string;
  readonly putAtMs: number;
  /** Who put it there. */
  readonly by: string;
}

/** `certificates/{name}`: with which load balancers end TLS. */
export interface CertificateRecord {
  readonly name: string;
  /** Null: there is none yet. */
  readonly kept: KeptCertificate | null;
  /** How the controller's hook failed to obtain it. Absent or null: it has not, since it was last obtained. */
  readonly attempt?: FailedAttempt | null;
  /** When somebody asked for another one, whatever is left of its life. Absent: nobody has. */
  readonly askedAtMs?: number;
}

/** Tries of the hook that came to nothing, in a row. */
export interface FailedAttempt {
  readonly failures: number;
  readonly failedAtMs: number;
  readonly message: string;
  /** Not tried again before. */
  readonly nextAtMs: number;
  /** For which names it was tried. */
  readonly names: readonly string[];
}

/** `challenges/{token}`: what an ACME server is to be answered by HTTP-01; both are public. */
export interface ChallengeRecord {
  readonly token: string;
  readonly authorization: string;
  /** It goes then, should nobody remove it. */
  readonly untilMs: number;
}

/** `tokens/join/{sha256}` and `tokens/api/{sha256}`: only hashes are kept. */
export interface TokenRecord {
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly label: string;
}

/** `events/{sequence, 12 digits}`: the log that `weft events` shows; the oldest go beyond 10,000. */
export interface EventRecord {
  readonly sequence: number;
  readonly atMs: number;
  readonly kind: string;
  /** VM id, host or application it is about. */
  readonly subject: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export type BlobReference = BlobRef;
