import type { Probe } from '../../agent/protocol/index.ts';

/** An application as the user declared it, fully resolved: defaults filled in, sizes looked up, durations in ms. */
export interface Service {
  readonly name: string;
  /** Digest of the application's package blob; null: none. */
  readonly package: PackageRef | null;
  readonly roles: Readonly<Record<string, Role>>;
  readonly machines: Readonly<Record<string, Machine>>;
}

export interface PackageRef {
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface Size {
  /** Name from the table of sizes, or `custom`. */
  readonly name: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly cpuQuotaPercent: number | null;
}

export type RoleKind = 'worker' | 'web' | 'vm';

export interface Role {
  readonly kind: RoleKind;
  /** As written: `name:version`, `name:channel` or `name@sha256:…`. Resolved to a version when an instance is placed. */
  readonly image: string;
  readonly size: Size;
  readonly instances: number;
  readonly updateDomains: number;
  readonly site: { readonly root: string | null; readonly proxyPort: number | null } | null;
  readonly start: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly startup: readonly StartupTask[];
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  /** Its instances reach each other, by any protocol. Absent: they do not. */
  readonly mesh?: true;
  /** Prefixes of the world that its instances reach; `false`: none. Absent: all of it. */
  readonly outbound?: false | readonly string[];
  /** The role's own package when it names one; null: the application's. */
  readonly package: PackageRef | null;
  readonly pool: string | null;
}

export interface Endpoint {
  /** `input`: published, with one port for all instances. `instance`: published, the instance with index i at `port` + i. */
  readonly type: 'input' | 'internal' | 'instance';
  readonly protocol: 'tcp' | 'http' | 'udp';
  readonly port: number;
  readonly targetPort: number;
  readonly probe?: Probe | undefined;
  /** Of an internal one: roles and networks of machines that may come in; empty: all of the application's. */
  readonly from: readonly string[];
  /** Name of the certificate with which the load balancer ends TLS. */
  readonly certificate?: string;
  /** DNS names that the certificate is to be for, where the controller's hook is to obtain it. Absent: somebody puts it there. */
  readonly certificateNames?: readonly string[];
  readonly proxyProtocol?: true;
  /** How long connections of an instance that goes may last. Absent: the load balancer's default. */
  readonly drainMs?: number;
}

export interface StartupTask {
  readonly run: string;
  readonly kind: 'simple' | 'foreground' | 'background';
  readonly timeoutMs: number;
  readonly retries: number;
}

/** A backup every so often, of which so many are kept. */
export interface BackupSchedule {
  readonly everyMs: number;
  readonly keep: number;
  /** Name of a backup target, or of a pool, of the machine's host. */
  readonly to: string;
}

export interface Machine {
  readonly image: string;
  readonly size: Size;
  readonly pool: string;
  readonly backup?: BackupSchedule;
  /** The backup that its disk begins as: `crm/db/20260102t030405`. */
  readonly from?: string;
  /** Which of the application's networks of machines it is on. Absent: `machines`. */
  readonly network?: string;
  readonly endpoints?: Readonly<Record<string, Endpoint>>;
  /** It has a public address of its own, where the fleet has public addresses. */
  readonly public?: true;
  /** As a role's. */
  readonly outbound?: false | readonly string[];
}
