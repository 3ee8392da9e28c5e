import type { CloseEvent, CloseReason, ConnectionEvents, LibvirtEventName } from './events.ts';
import type { Notice } from './native.ts';

/** `virDomainEventType` in order, then the details of each in order. */
const LIFECYCLE = {
  defined: ['added', 'updated', 'renamed', 'from-snapshot'],
  undefined: ['removed', 'renamed'],
  started: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup'],
  suspended: [
    'paused',
    'migrated',
    'io-error',
    'watchdog',
    'restored',
    'from-snapshot',
    'api-error',
    'postcopy',
    'postcopy-failed',
  ],
  resumed: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'],
  stopped: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot'],
  shutdown: ['finished', 'guest', 'host'],
  pmsuspended: ['memory', 'disk'],
  crashed: ['panicked', 'crashloaded'],
} as const;
const LIFECYCLE_TYPES = Object.keys(LIFECYCLE) as readonly (keyof typeof LIFECYCLE)[];

/** Fields that come as a figure, and the names of the figures, in the order of libvirt's enumerations. */
const FIELDS: Partial<Record<LibvirtEventName, Readonly<Record<string, readonly string[]>>>> = {
  watchdog: { action: ['none', 'pause', 'reset', 'poweroff', 'shutdown', 'debug', 'inject-nmi'] },
  'io-error': { action: ['none', 'pause', 'report'] },
  'guest-agent': {
    state: ['unknown', 'connected', 'disconnected'],
    reason: ['unknown', 'domain-started', 'channel'],
  },
  'block-job': {
    type: ['unknown', 'pull', 'copy', 'commit', 'active-commit', 'backup'],
    status: ['completed', 'failed', 'canceled', 'ready'],
  },
  'metadata-change': { type: ['description', 'title', 'element'] },
  'network-lifecycle': { type: ['defined', 'undefined', 'started', 'stopped'] },
};

const CLOSE_REASONS: readonly CloseReason[] = ['error', 'eof', 'keepalive', 'client'];

/** Everything a connection can subscribe to. */
export const EVENT_NAMES: readonly LibvirtEventName[] = [
  'lifecycle',
  'reboot',
  'rtc-change',
  'watchdog',
  'io-error',
  'control-error',
  'guest-agent',
  'device-added',
  'device-removed',
  'device-removal-failed',
  'block-job',
  'migration-iteration',
  'job-completed',
  'balloon-change',
  'metadata-change',
  'pmsuspend',
  'pmsuspend-disk',
  'pmwakeup',
  'network-lifecycle',
];

type DescribedNotice =
  | { readonly event: 'close'; readonly payload: CloseEvent }
  | { readonly event: LibvirtEventName; readonly payload: ConnectionEvents[LibvirtEventName][0] };

/** Names for the figures of a notice. An unknown figure becomes `unknown`, never an error. */
export function describeNotice(notice: Notice): DescribedNotice {
  const raw = notice.payload as Record<string, unknown>;
  if (notice.event === 'close') {
    return { event: 'close', payload: { reason: CLOSE_REASONS[Number(raw.reason)] ?? 'error' } };
  }
  const payload = { ...raw };
  if (notice.event === 'lifecycle') {
    const type = LIFECYCLE_TYPES[Number(raw.type)];
    const details: readonly string[] = type === undefined ? [] : LIFECYCLE[type];
    payload.type = type ?? 'unknown';
    payload.detail = details[Number(raw.detailCode)] ?? 'unknown';
  }
  for (const [field, names] of Object.entries(FIELDS[notice.event] ?? {})) {
    payload[field] = names[Number(raw[field])] ?? 'unknown';
  }
  return { event: notice.event, payload: payload as unknown as ConnectionEvents[LibvirtEventName][0] };
}
