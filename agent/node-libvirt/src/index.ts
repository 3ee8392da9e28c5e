export type { CallOptions } from './call-options.ts';
export { Connection, type DomainStatistics, type KeepAlive, type OpenOptions } from './connection.ts';
export {
  type BlockInfo,
  Domain,
  type DomainInfo,
  type DomainInterface,
  type InterfaceAddress,
  type JobStatistics,
  type MetadataOptions,
  type Screenshot,
} from './domain.ts';
export * from './domain-constants.ts';
export { ErrorCode, ErrorDomain } from './error-codes.ts';
export { AddonNotBuiltError, CallTimeoutError, isLibvirtError, LibvirtError } from './errors.ts';
export type * from './events.ts';
export type { MigrateParameters } from './migrate-parameters.ts';
export type { NodeInfo, Versions } from './native.ts';
export { type DhcpLease, Network } from './network.ts';
export * from './network-constants.ts';
export {
  ReconnectingConnection,
  type ReconnectingEvents,
  type ReconnectOptions,
} from './reconnecting-connection.ts';
export type { Secret } from './secret.ts';
export type { DomainState, DomainStateReason, DomainStateView } from './states.ts';
export { Stream } from './stream.ts';
export type { TypedParameters, TypedValue } from './typed-parameters.ts';
