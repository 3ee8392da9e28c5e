import type { TypedParameters } from './typed-parameters.ts';

/** Which domain an event is about; for calls, look it up by uuid (it may be gone). */
export interface DomainIdentity {
  readonly name: string;
  readonly uuid: string;
  /** Null when it is not running. */
  readonly id: number | null;
}

export interface NetworkIdentity {
  readonly name: string;
  readonly uuid: string;
}

interface OfDomain {
  readonly domain: DomainIdentity;
}

export type LifecycleEventType =
  | 'defined'
  | 'undefined'
  | 'started'
  | 'suspended'
  | 'resumed'
  | 'stopped'
  | 'shutdown'
  | 'pmsuspended'
  | 'crashed'
  /** One newer than this table. */
  | 'unknown';

export interface LifecycleEvent extends OfDomain {
  readonly type: LifecycleEventType;
  /** For example `booted` of `started`, `destroyed` of `stopped`; `unknown` for one newer than this table. */
  readonly detail: string;
  readonly detailCode: number;
}

export type RebootEvent = OfDomain;

export interface RtcChangeEvent extends OfDomain {
  readonly offsetSeconds: bigint;
}

export interface WatchdogEvent extends OfDomain {
  readonly action: string;
}

export interface IoErrorEvent extends OfDomain {
  readonly sourcePath: string;
  readonly deviceAlias: string;
  readonly action: string;
  /** `enospc`, or empty where QEMU does not say. */
  readonly reason: string;
}

export interface ControlErrorEvent extends OfDomain {}

export interface GuestAgentEvent extends OfDomain {
  readonly state: 'connected' | 'disconnected' | 'unknown';
  readonly reason: string;
}

export interface DeviceEvent extends OfDomain {
  readonly deviceAlias: string;
}

export interface BlockJobEvent extends OfDomain {
  /** Target of the disk, for example `vda`. */
  readonly disk: string;
  readonly type: string;
  readonly status: string;
}

export interface MigrationIterationEvent extends OfDomain {
  readonly iteration: number;
}

export interface JobCompletedEvent extends OfDomain {
  /** As in job statistics, for example `time_elapsed`, `operation`. */
  readonly statistics: TypedParameters;
}

export interface BalloonChangeEvent extends OfDomain {
  readonly actualKiB: bigint;
}

export interface MetadataChangeEvent extends OfDomain {
  readonly type: string;
  /** Namespace of an `element`; empty otherwise. */
  readonly uri: string;
}

export interface NetworkLifecycleEvent {
  readonly network: NetworkIdentity;
  readonly type: 'defined' | 'undefined' | 'started' | 'stopped' | 'unknown';
}

/** `client`: closed by our own `close()`. The rest: the connection was lost. */
export type CloseReason = 'error' | 'eof' | 'keepalive' | 'client';

export interface CloseEvent {
  readonly reason: CloseReason;
}

/** What a connection subscribes to at the daemon. */
export interface LibvirtEvents {
  lifecycle: [event: LifecycleEvent];
  reboot: [event: RebootEvent];
  'rtc-change': [event: RtcChangeEvent];
  watchdog: [event: WatchdogEvent];
  'io-error': [event: IoErrorEvent];
  'control-error': [event: ControlErrorEvent];
  'guest-agent': [event: GuestAgentEvent];
  'device-added': [event: DeviceEvent];
  'device-removed': [event: DeviceEvent];
  'device-removal-failed': [event: DeviceEvent];
  'block-job': [event: BlockJobEvent];
  'migration-iteration': [event: MigrationIterationEvent];
  'job-completed': [event: JobCompletedEvent];
  'balloon-change': [event: BalloonChangeEvent];
  'metadata-change': [event: MetadataChangeEvent];
  pmsuspend: [event: OfDomain];
  'pmsuspend-disk': [event: OfDomain];
  pmwakeup: [event: OfDomain];
  'network-lifecycle': [event: NetworkLifecycleEvent];
}

export type LibvirtEventName = keyof LibvirtEvents;

/** All events of a Connection. `close` comes once, last. */
export interface ConnectionEvents extends LibvirtEvents {
  close: [event: CloseEvent];
}
