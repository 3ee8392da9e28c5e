import type {
  DoctorReport,
  Failure,
  GuardState,
  HostFacts,
  MadeBackup,
  Restarts,
  RuleCounters,
  Step,
  TaskResult,
} from '../../agent/protocol/index.ts';

/** What the API answers, as the client sees it. */
export interface VmRow {
  readonly id: string;
  readonly app: string;
  readonly role: string | null;
  readonly index: number | null;
  readonly kind: string;
  readonly host: string | null;
  readonly state: string;
  readonly address: string | null;
  readonly image: string | null;
  readonly incarnation: number;
  readonly overlay: string | null;
  readonly step: string | null;
  /** Where its next incarnation is in the making; null: nowhere. */
  readonly successor: {
    readonly host: string;
    readonly incarnation: number;
    readonly state: string;
    /** Of a VM's whole record. */
    readonly live?: { readonly percent?: number } | null;
  } | null;
  /** Why it has not begun to leave, although it was moved, and when that is given up; null: that, or nothing asks it to. */
  readonly moveWait?: { readonly untilMs: number; readonly reason: string } | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly sinceMs: number;
}

/** How a machine last came from one host to another while it ran. */
export interface LastMoveRow {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  /** Null: the hypervisor did not say. */
  readonly downtimeMs: number | null;
  readonly totalMs: number | null;
  /** Absent: its host did not say. */
  readonly way?: 'direct' | 'relayed';
}

export interface VmDetail extends Omit<VmRow, 'failure' | 'step' | 'image' | 'lastMove'> {
  readonly lastMove?: LastMoveRow | null;
  readonly moveTo?: string | null;
  readonly steps: readonly Step[];
  readonly tasks: readonly TaskResult[];
  /** Where its disk lies. */
  readonly pool: string;
  readonly failure: Failure | null;
  readonly retryAtMs: number | null;
  /** What proved that the copy before this incarnation was dead. */
  readonly proof: ProofRow | null;
  /** Why it could not leave its host yet; absent or null: nothing has kept it. */
  readonly stay?: { readonly message: string; readonly failures: number } | null;
  readonly failures: number;
  readonly failedOn: Readonly<Record<string, number>>;
  readonly restarts: (Restarts & { readonly host: string; readonly incarnation: number }) | null;
  readonly placement: {
    readonly chosen: string | null;
    readonly atMs: number;
    readonly hosts: readonly {
      readonly host: string;
      readonly accepted: boolean;
      readonly score: number | null;
      readonly reasons: readonly string[];
    }[];
  } | null;
  readonly stateSinceMs: number;
  readonly createdAtMs: number;
  readonly readyAtMs: number | null;
}

/** Everything that is known of one VM. */
export interface Dossier {
  readonly vm: VmDetail;
  readonly host: {
    readonly name: string;
    readonly state: string;
    readonly evidence: string;
    readonly draining: boolean;
    readonly connected: boolean;
    readonly facts: HostFacts | null;
  } | null;
  /** Of the serial console, as it is now; null: it says nothing, or its host does not answer. */
  readonly consoleTail: string | null;
  /** It is not tried again by itself. */
  readonly givenUp: boolean;
  /** Which pictures of its screen can be had: as it is now, as it was at its last crash or hang. */
  readonly pictures: { readonly now: boolean; readonly end: boolean };
}

export interface BackupRow {
  /** `crm/db/20260102t030405` */
  readonly backup: string;
  readonly machine: string;
  readonly state: 'wanted' | 'done' | 'failed' | 'removing';
  readonly reason: 'asked' | 'scheduled';
  readonly target: string;
  readonly host: string;
  readonly image: string;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly percent: number | null;
  readonly made: MadeBackup | null;
  readonly failure: Failure | null;
  /** The last restore that was asked for. */
  readonly restore: {
    readonly request: string;
    readonly as: string;
    readonly host: string;
    readonly state: 'verifying' | 'accepted' | 'refused';
    readonly failure: Failure | null;
    readonly askedAtMs: number;
  } | null;
}

/** An endpoint that the world may reach. */
export interface EndpointRow {
  readonly id: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly protocol: string;
  readonly state: string;
  readonly reason?: string;
  /** The host that has its address now; null: none, or each has its own. */
  readonly host: string | null;
  readonly connections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly backends: readonly {
    readonly name: string;
    readonly address: string;
    readonly state: string;
    readonly sessions: number;
  }[];
}

export interface ApplicationDetail {
  readonly name: string;
  readonly generation: number;
  readonly endpoints: readonly EndpointRow[];
}

export interface ApplicationRow {
  readonly name: string;
  readonly generation: number;
  readonly deleting: boolean;
  readonly roles: Readonly<Record<string, number>>;
  readonly machines: readonly string[];
  readonly vms: number;
  readonly ready: number;
}

export interface ProofRow {
  readonly kind: string;
  readonly host: string;
  readonly atMs: number;
  readonly detail: string;
}

export interface DeviceTestRow {
  readonly device: string;
  readonly ok: boolean;
  readonly power: 'on' | 'off' | null;
  readonly message: string;
  readonly ms: number;
}

/** How far a drain is. */
export interface DrainRow {
  readonly host: string;
  readonly state: string;
  readonly mode: string;
  /** Null: it does not drain. */
  readonly asked: {
    readonly atMs: number;
    readonly by: string;
    readonly cold: boolean;
    readonly live: boolean;
  } | null;
  readonly total: number;
  readonly left: readonly {
    readonly id: string;
    readonly state: string;
    /** `operator`: for nothing that comes by itself. */
    readonly waitsFor: string;
    readonly reason: string;
  }[];
}

export interface RollRow {
  /** Begins with the moment in which it began, in ISO 8601. */
  readonly id: string;
  readonly hosts: readonly string[];
}

export interface HostRow {
  readonly name: string;
  /** Of one that is up and not in service: `draining`, `maintenance`. */
  readonly state: string;
  readonly mode: string;
  readonly bootId: string | null;
  /** The roll that it drains for, and the boot that this is to end; null, or absent of an older controller: none. */
  readonly roll?: (RollRow & { readonly bootId: string | null }) | null;
  /** The last roll that has booted it anew. */
  readonly rolled?: RollRow | null;
  /** Why it is in this state. */
  readonly evidence: string;
  /** Since it is down; null: it was not tried. */
  readonly fencing: {
    readonly attempts: number;
    readonly message: string;
    readonly isShutOut?: boolean;
  } | null;
  readonly proof: ProofRow | null;
  readonly heldOffUntilMs: number | null;
  readonly fenceDevices: number;
  /** Null: it has none. */
  readonly guard: GuardState | null;
  /** Whether its traffic to other hosts is encrypted; null, or absent of an older controller: nobody asks for it. */
  readonly encryption?: {
    readonly state: 'encrypted' | 'broken' | 'open' | 'alone' | 'untold';
    readonly problem: string | null;
  } | null;
  /** What is wrong with its guests' network. Absent: the controller is older. */
  readonly networkProblems?: readonly string[];
  readonly faultDomain: string | null;
  readonly cpus: number | null;
  readonly memoryMiB: number | null;
  readonly pools: readonly { readonly name: string; readonly kind: string; readonly sizeMiB: number }[];
  readonly vms: number;
  readonly lastSeenMs: number | null;
  readonly accelerator: string | null;
  readonly notes: readonly string[];
}

export interface HostDoctor {
  readonly connected: boolean;
  /** Null: it has not looked yet, or its agent has none. */
  readonly doctor: DoctorReport | null;
}

export interface ImageRow {
  readonly name: string;
  readonly version: string;
  readonly channels: readonly string[];
  readonly virtualSizeBytes: number;
  readonly sizeBytes: number;
  readonly sourceFormat: string;
  readonly createdAtMs: number;
}

export interface EventRow {
  readonly sequence: number;
  readonly atMs: number;
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}

export interface PlanRow {
  readonly steps: readonly {
    readonly action: string;
    readonly id: string;
    readonly host: string | null;
    readonly reason: string;
  }[];
  readonly refusals: readonly {
    readonly id: string;
    readonly explanation: NonNullable<VmDetail['placement']>;
  }[];
}

export interface ImportOptions {
  readonly name: string;
  readonly version: string;
  readonly disk: string;
  readonly channel?: string | undefined;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly commandLine?: string | undefined;
  readonly firmware?: string | undefined;
  readonly devices?: string | undefined;
  readonly seed?: string | undefined;
  readonly sshUser?: string | undefined;
  readonly sshPrivateKey?: string | undefined;
  readonly webServer?: string | undefined;
}

export type ApplicationChange = VmRow | { readonly id: string; readonly gone: true };

/** Ends: `world`, an address, `app/role`, or the id of an instance or a machine. */
export interface ConnectionQuestion {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface NetworkGuest {
  readonly id: string;
  readonly address: string;
  readonly address6: string | null;
  readonly host: string | null;
  readonly state: string;
  readonly name: string;
}

export interface EdgeFigures {
  readonly endpoint: string;
  readonly connections: number;
  /** Open now. */
  readonly sessions: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Absent: its clients have no limit. */
  readonly denied?: number | undefined;
  /** Absent: the agent is older. */
  readonly failed?: number | undefined;
}

export interface WhyAnswer {
  readonly question: ConnectionQuestion;
  readonly allowed: boolean;
  readonly rule: string | null;
  readonly reason: string;
  readonly hosts: readonly string[];
  readonly from: readonly NetworkGuest[];
  readonly to: readonly NetworkGuest[];
  /** How load balancers serve it at this moment; null, or absent of an older controller: it leads through none, or is not allowed. */
  readonly now?: string | null;
  /** What load balancers on each edge host have counted of the endpoint. Absent: an older controller. */
  readonly edges?: readonly ({ readonly host: string } & (EdgeFigures | { readonly problem: string }))[];
  /** What rules on each host have counted. Absent: an older controller. */
  readonly counters?: readonly ({ readonly host: string } & (RuleCounters | { readonly problem: string }))[];
}

export interface NetworkView {
  readonly app: string;
  /** Absent: the controller is older. */
  readonly deleting?: boolean;
  readonly zone: string;
  readonly subnets: readonly {
    readonly id: string;
    readonly cidr: string | null;
    readonly cidr6: string | null;
    readonly mesh: boolean;
    readonly outbound: 'all' | readonly string[];
    readonly guests: readonly (NetworkGuest & {
      /** Where not all of the subnet reach the same; `outbound` of the subnet is none then. */
      readonly outbound?: 'all' | readonly string[];
    })[];
  }[];
  readonly flows: readonly {
    readonly id: string;
    /** Ids of subnets; `edge`: load balancers. */
    readonly from: readonly string[];
    readonly to: string;
    readonly protocol: 'tcp' | 'udp' | 'any';
    readonly port: number;
    readonly guest?: string;
  }[];
  readonly published: readonly {
    readonly id: string;
    readonly type: 'input' | 'instance';
    readonly protocol: string;
    readonly port: number;
    readonly targetPort: number;
    readonly addresses: readonly string[];
  }[];
  readonly edgeHosts: readonly string[];
  /** Of what goes between hosts. Absent: the controller is older. */
  readonly encryption?: {
    readonly mode: 'off' | 'prefer' | 'require';
    readonly exceptions: readonly {
      readonly host: string;
      readonly state: 'encrypted' | 'broken' | 'open' | 'alone' | 'untold';
      readonly problem: string;
    }[];
  };
  readonly names: readonly { readonly name: string; readonly type: string; readonly data: string }[];
}

/** A certificate with which load balancers end TLS. */
export interface CertificateRow {
  readonly name: string;
  /** Null: the controller has none. */
  readonly kept: {
    readonly names: readonly string[];
    readonly issuer: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly fingerprint: string;
    readonly putAtMs: number;
    readonly by: string;
  } | null;
  readonly endpoints: readonly string[];
  /** DNS names that these want it to be for; empty: somebody puts it there. */
  readonly wanted: readonly string[];
  /** Edge hosts: `served` by the one that is kept, by an `other` of its name, by `none`; or that is `unknown`. Absent: the controller is older. */
  readonly hosts?: readonly {
    readonly host: string;
    readonly state: 'served' | 'other' | 'none' | 'unknown';
  }[];
  /** From when on the controller's hook replaces it; null: it does not. */
  readonly renewalMs: number | null;
  /** Tries of the hook that came to nothing. */
  readonly attempt?: {
    readonly failures: number;
    readonly failedAtMs: number;
    readonly message: string;
    readonly nextAtMs: number;
  } | null;
  readonly notes: readonly string[];
}

/** What an ACME server is answered by HTTP-01. */
export interface ChallengeRow {
  readonly token: string;
  readonly untilMs: number;
  /** Endpoints at port 80 where it is answered. */
  readonly endpoints: readonly string[];
  readonly hosts: readonly { readonly host: string; readonly answers: boolean }[];
  /** Public addresses of these endpoints that no edge host has yet. */
  readonly awaited: readonly string[];
}
