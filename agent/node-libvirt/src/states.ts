/** `virDomainState` in order, then the reasons of each in order. */
const REASONS = {
  nostate: ['unknown'],
  running: [
    'unknown',
    'booted',
    'migrated',
    'restored',
    'from-snapshot',
    'unpaused',
    'migration-canceled',
    'save-canceled',
    'wakeup',
    'crashed',
    'postcopy',
    'postcopy-failed',
  ],
  blocked: ['unknown'],
  paused: [
    'unknown',
    'user',
    'migration',
    'save',
    'dump',
    'io-error',
    'watchdog',
    'from-snapshot',
    'shutting-down',
    'snapshot',
    'crashed',
    'starting-up',
    'postcopy',
    'postcopy-failed',
  ],
  shutdown: ['unknown', 'user'],
  shutoff: [
    'unknown',
    'shutdown',
    'destroyed',
    'crashed',
    'migrated',
    'saved',
    'failed',
    'from-snapshot',
    'daemon',
  ],
  crashed: ['unknown', 'panicked'],
  pmsuspended: ['unknown'],
} as const;

export type DomainState = keyof typeof REASONS;
export type DomainStateReason = (typeof REASONS)[DomainState][number];

export interface DomainStateView {
  readonly state: DomainState;
  /** `unknown` too for a reason that a newer libvirt has and this table has not. */
  readonly reason: DomainStateReason;
  readonly stateCode: number;
  readonly reasonCode: number;
}

const STATES = Object.keys(REASONS) as readonly DomainState[];

/** Names for the figures of `virDomainGetState`. */
export function describeState(stateCode: number, reasonCode: number): DomainStateView {
  const state = STATES[stateCode] ?? 'nostate';
  const reasons: readonly DomainStateReason[] = REASONS[state];
  return { state, reason: reasons[reasonCode] ?? 'unknown', stateCode, reasonCode };
}
