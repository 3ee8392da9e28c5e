import type { Failure, Hello, NamesGoal, Report } from '../../agent/protocol/index.ts';
import type {
  ApplicationRecord,
  BackupRecord,
  CertificateRecord,
  ChallengeRecord,
  ClaimsRecord,
  FencingRecord,
  FleetRecord,
  HostRecord,
  ImageRecord,
  IncarnationsRecord,
  NetworkRecord,
  TombstoneRecord,
  VmRecord,
} from '../model/records.ts';

/** One host as the controller hears it now. */
export interface LiveHost {
  readonly connected: boolean;
  /** 0: not since this controller started. */
  readonly lastHeardMs: number;
  readonly hello: Hello | null;
  /** Why its last session ended; null: it has one, or never had. */
  readonly endedBecause: string | null;
  readonly report: Report | null;
  /** Ids named by the goal that this host has looked at itself with; null: not known whether it has the newest. */
  readonly acknowledged: ReadonlySet<string> | null;
}

/** What an image reference means now; `failure` when it means nothing. */
export interface ResolvedImage {
  readonly image: ImageRecord | null;
  readonly failure: Failure | null;
  /** How long it took to find out. */
  readonly ms: number;
}

/** The zones that name servers were sent. */
export interface SeenZones {
  /** Whether a zone, which a name server says by its digest that it serves, has all these records. False also for one that is not known. */
  hasAll(digest: string, records: NamesGoal['records']): boolean;
}

/** Everything a plan is made from. Keys of the maps are the last parts of the records' keys: `crm/web-0`, `h1`. */
export interface World {
  readonly fleet: FleetRecord;
  readonly applications: ReadonlyMap<string, ApplicationRecord>;
  readonly vms: ReadonlyMap<string, VmRecord>;
  readonly hosts: ReadonlyMap<string, HostRecord>;
  readonly claims: ReadonlyMap<string, ClaimsRecord>;
  readonly networks: ReadonlyMap<string, NetworkRecord>;
  readonly tombstones: ReadonlyMap<string, TombstoneRecord>;
  readonly incarnations: ReadonlyMap<string, IncarnationsRecord>;
  readonly fencing: ReadonlyMap<string, FencingRecord>;
  /** How long ago each host was granted its last lease, ms, by a clock that nobody sets. Absent: there are no leases. */
  readonly leaseAges?: ReadonlyMap<string, number>;
  readonly backups: ReadonlyMap<string, BackupRecord>;
  /** Absent: there are none. */
  readonly certificates?: ReadonlyMap<string, CertificateRecord>;
  /** Absent: there are none. */
  readonly challenges?: ReadonlyMap<string, ChallengeRecord>;
  readonly live: ReadonlyMap<string, LiveHost>;
  /** Absent: none was sent. */
  readonly zones?: SeenZones;
  readonly images: ReadonlyMap<string, ResolvedImage>;
  /** When this controller began to listen: hosts have their time from then on to be heard. */
  readonly listeningSinceMs: number;
}

export const KINDS = [
  'applications',
  'vms',
  'hosts',
  'claims',
  'networks',
  'tombstones',
  'incarnations',
  'fencing',
  'backups',
  'certificates',
  'challenges',
] as const;
export type Kind = (typeof KINDS)[number];

/** Prefix of each kind's keys in the store. */
export const PREFIXES: Readonly<Record<Kind, string>> = {
  applications: 'apps/',
  vms: 'vms/',
  hosts: 'hosts/',
  claims: 'claims/',
  networks: 'networks/',
  tombstones: 'tombstones/',
  incarnations: 'incarnations/',
  fencing: 'fencing/',
  backups: 'backups/',
  certificates: 'certificates/',
  challenges: 'challenges/',
};

export interface RecordOf {
  applications: ApplicationRecord;
  vms: VmRecord;
  hosts: HostRecord;
  claims: ClaimsRecord;
  networks: NetworkRecord;
  tombstones: TombstoneRecord;
  incarnations: IncarnationsRecord;
  fencing: FencingRecord;
  backups: BackupRecord;
  certificates: CertificateRecord;
  challenges: ChallengeRecord;
}
