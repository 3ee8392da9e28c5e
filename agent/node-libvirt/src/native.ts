import type { BlockInfo, DomainInterface, JobStatistics, Screenshot } from './domain.ts';
import type { NativeError } from './errors.ts';
import type { CloseReason, LibvirtEventName } from './events.ts';
import type { DhcpLease } from './network.ts';
import type { TypedParameterInput, TypedParameters } from './typed-parameters.ts';

declare const kind: unique symbol;
interface Handle<Kind extends string> {
  readonly [kind]: Kind;
}
export type ConnectionHandle = Handle<'connection'>;
export type DomainHandle = Handle<'domain'>;
export type NetworkHandle = Handle<'network'>;
export type StreamHandle = Handle<'stream'>;

export interface NativeConnection {
  readonly handle: ConnectionHandle;
  /** Names the connection in events. */
  readonly number: number;
  /** Event kinds that this driver does not have. */
  readonly unsupportedEvents: readonly LibvirtEventName[];
  readonly keepAlive: boolean;
}

export interface NativeDomain {
  readonly handle: DomainHandle;
  readonly name: string;
  readonly uuid: string;
}

export interface NativeNetwork {
  readonly handle: NetworkHandle;
  readonly name: string;
  readonly uuid: string;
}

/** `usageType` is a figure of `virSecretUsageType`. */
export interface NativeSecret {
  readonly uuid: string;
  readonly usageType: number;
  readonly usageId: string | null;
}

export interface NodeInfo {
  readonly model: string;
  readonly memoryKiB: bigint;
  readonly cpus: number;
  readonly mhz: number;
  readonly numaNodes: number;
  readonly sockets: number;
  readonly coresPerSocket: number;
  readonly threadsPerCore: number;
}

export interface Versions {
  /** Driver's name, for example `QEMU`. */
  readonly type: string;
  /** Major × 1,000,000 + minor × 1,000 + release. */
  readonly hypervisor: number;
  /** libvirt of the daemon. */
  readonly libvirt: number;
  /** libvirt that this process has loaded. */
  readonly client: number;
}

interface Operation<Arguments extends readonly unknown[], Result> {
  readonly arguments: Arguments;
  readonly result: Result;
}
type Open = readonly [
  uri: string,
  flags: number,
  workers: number,
  keepAliveIntervalSeconds: number,
  keepAliveCount: number,
  events: readonly LibvirtEventName[],
];
type C = ConnectionHandle;
type D = DomainHandle;
type N = NetworkHandle;
type S = StreamHandle;

/** Every asynchronous operation of the addon: its arguments after the call's number, and what it settles with. */
export interface Operations {
  connectionOpen: Operation<Open, NativeConnection>;
  connectionClose: Operation<readonly [C], void>;
  connectionVersions: Operation<readonly [C], Versions>;
  connectionIsAlive: Operation<readonly [C], boolean>;
  connectionUri: Operation<readonly [C], string>;
  connectionHostname: Operation<readonly [C], string>;
  connectionCapabilities: Operation<readonly [C], string>;
  connectionDomainCapabilities: Operation<
    readonly [
      C,
      emulator: string | null,
      architecture: string | null,
      machine: string | null,
      type: string | null,
    ],
    string
  >;
  connectionNodeInfo: Operation<readonly [C], NodeInfo>;
  connectionSetKeepAlive: Operation<readonly [C, intervalSeconds: number, count: number], boolean>;
  connectionDomainStats: Operation<
    readonly [C, groups: number, flags: number],
    readonly (readonly [NativeDomain, TypedParameters])[]
  >;
  connectionRestore: Operation<readonly [C, path: string, xml: string | null, flags: number], void>;
  domainDefine: Operation<readonly [C, xml: string, flags: number], NativeDomain>;
  domainCreateXml: Operation<readonly [C, xml: string, flags: number], NativeDomain>;
  domainLookupByName: Operation<readonly [C, name: string], NativeDomain>;
  domainLookupByUuid: Operation<readonly [C, uuid: string], NativeDomain>;
  domainLookupById: Operation<readonly [C, id: number], NativeDomain>;
  domainListAll: Operation<readonly [C, flags: number], readonly NativeDomain[]>;
  domainId: Operation<readonly [D], number | null>;
  domainIsActive: Operation<readonly [D], boolean>;
  domainIsPersistent: Operation<readonly [D], boolean>;
  domainState: Operation<readonly [D], readonly [state: number, reason: number]>;
  domainInfo: Operation<
    readonly [D],
    { stateCode: number; maximumMemoryKiB: bigint; memoryKiB: bigint; cpus: number; cpuTimeNs: bigint }
  >;
  domainXml: Operation<readonly [D, flags: number], string>;
  domainCreate: Operation<readonly [D, flags: number], void>;
  domainShutdown: Operation<readonly [D, flags: number], void>;
  domainReboot: Operation<readonly [D, flags: number], void>;
  domainReset: Operation<readonly [D], void>;
  domainDestroy: Operation<readonly [D, flags: number], void>;
  domainUndefine: Operation<readonly [D, flags: number], void>;
  domainSuspend: Operation<readonly [D], void>;
  domainResume: Operation<readonly [D], void>;
  domainAutostart: Operation<readonly [D], boolean>;
  domainSetAutostart: Operation<readonly [D, boolean], void>;
  domainMetadata: Operation<readonly [D, type: number, uri: string | null, flags: number], string | null>;
  domainSetMetadata: Operation<
    readonly [D, type: number, value: string | null, key: string | null, uri: string | null, flags: number],
    void
  >;
  domainBlockInfo: Operation<readonly [D, disk: string], BlockInfo>;
  domainMigrateToUri: Operation<
    readonly [D, uri: string | null, parameters: readonly TypedParameterInput[], flags: number],
    void
  >;
  domainJobStatistics: Operation<readonly [D, flags: number], JobStatistics>;
  domainAbortJob: Operation<readonly [D], void>;
  domainBackupBegin: Operation<readonly [D, xml: string, checkpointXml: string | null, flags: number], void>;
  domainFsFreeze: Operation<readonly [D], number>;
  domainFsThaw: Operation<readonly [D], number>;
  domainSave: Operation<readonly [D, path: string, flags: number], void>;
  domainManagedSave: Operation<readonly [D, flags: number], void>;
  domainHasManagedSave: Operation<readonly [D], boolean>;
  domainRemoveManagedSave: Operation<readonly [D], void>;
  domainScreenshot: Operation<readonly [D, screen: number], Screenshot>;
  domainOpenConsole: Operation<readonly [D, device: string | null, flags: number], S>;
  domainInterfaceAddresses: Operation<readonly [D, source: number], readonly DomainInterface[]>;
  domainAgentCommand: Operation<readonly [D, command: string, timeoutSeconds: number], string>;
  domainMonitorCommand: Operation<readonly [D, command: string, flags: number], string>;
  domainAttachDevice: Operation<readonly [D, xml: string, flags: number], void>;
  domainDetachDevice: Operation<readonly [D, xml: string, flags: number], void>;
  domainUpdateDevice: Operation<readonly [D, xml: string, flags: number], void>;
  networkDefine: Operation<readonly [C, xml: string], NativeNetwork>;
  networkCreateXml: Operation<readonly [C, xml: string], NativeNetwork>;
  networkLookupByName: Operation<readonly [C, name: string], NativeNetwork>;
  networkLookupByUuid: Operation<readonly [C, uuid: string], NativeNetwork>;
  networkListAll: Operation<readonly [C, flags: number], readonly NativeNetwork[]>;
  networkIsActive: Operation<readonly [N], boolean>;
  networkIsPersistent: Operation<readonly [N], boolean>;
  networkXml: Operation<readonly [N, flags: number], string>;
  networkBridgeName: Operation<readonly [N], string>;
  networkCreate: Operation<readonly [N], void>;
  networkDestroy: Operation<readonly [N], void>;
  networkUndefine: Operation<readonly [N], void>;
  networkAutostart: Operation<readonly [N], boolean>;
  networkSetAutostart: Operation<readonly [N, boolean], void>;
  networkUpdate: Operation<
    readonly [N, command: number, section: number, parentIndex: number, xml: string, flags: number],
    void
  >;
  networkDhcpLeases: Operation<readonly [N, mac: string | null], readonly DhcpLease[]>;
  secretDefine: Operation<readonly [C, xml: string, flags: number], string>;
  secretSetValue: Operation<readonly [C, uuid: string, value: Uint8Array], void>;
  secretUndefine: Operation<readonly [C, uuid: string], void>;
  secretListAll: Operation<readonly [C, flags: number], readonly NativeSecret[]>;
  streamRead: Operation<readonly [S], Buffer | null>;
  streamWrite: Operation<readonly [S, bytes: Uint8Array], void>;
  streamClose: Operation<readonly [S], void>;
}

export type OperationName = keyof Operations;

/** A call's end. Exactly one of the two is set, or neither for a call without a result. */
export interface Settled {
  readonly call: number;
  readonly error?: NativeError;
  readonly value?: unknown;
}

/** Something libvirt told a connection. `payload` is raw: figures, not names. */
export interface Notice {
  readonly connection: number;
  readonly event: LibvirtEventName | 'close';
  readonly payload: unknown;
}

export type NativeMessage = Settled | Notice;

/** What `build/Release/node_libvirt.node` exports. */
export interface NativeAddon {
  /** @param dispatch where ends of calls and notices of this session go, in batches and in order. It must not throw. */
  start(dispatch: (batch: readonly NativeMessage[]) => void): NativeSession;
}

/** One function an operation, and these. Sessions know nothing of each other. */
export type NativeSession = {
  readonly [Name in OperationName]: (call: number, ...rest: Operations[Name]['arguments']) => void;
} & {
  /** Whether waiting for messages keeps the process alive. */
  hold(alive: boolean): void;
  /** Withdraws a call: it will not settle, and its worker no longer counts against the connection's. A close still runs. */
  cancel(call: number): void;
};

export type { CloseReason };
