import {
  AddonNotBuiltError,
  CallTimeoutError,
  isLibvirtError,
  type DomainState as LibvirtState,
  type LifecycleEvent,
} from '@weft/node-libvirt';
import { WeftError } from '../../kit/errors.ts';
import type { DomainState } from '../driver.ts';

const STATES: Readonly<Record<LibvirtState, DomainState>> = {
  nostate: 'other',
  running: 'running',
  blocked: 'running',
  paused: 'paused',
  shutdown: 'running',
  shutoff: 'shut-off',
  crashed: 'crashed',
  pmsuspended: 'paused',
};

/** libvirt's state as the driver's. A guest on its way down still runs. */
export const toDomainState = (state: LibvirtState): DomainState => STATES[state];

const EVENTS: Readonly<Record<LifecycleEvent['type'], DomainState | null>> = {
  defined: null,
  undefined: 'shut-off',
  started: 'running',
  suspended: 'paused',
  resumed: 'running',
  stopped: 'shut-off',
  shutdown: null,
  pmsuspended: 'paused',
  crashed: 'crashed',
  unknown: null,
};

/** The state after a lifecycle event; null when it tells nothing of the state. */
export const stateAfter = (event: LifecycleEvent): DomainState | null =>
  // A guest that dumps its memory first goes on until it resets itself.
  event.detail === 'crashloaded' ? null : EVENTS[event.type];

/** @returns what a person may see of a failure of libvirt. */
export function toWeftError(what: string, thrown: unknown): WeftError {
  if (thrown instanceof WeftError) return thrown;
  if (thrown instanceof AddonNotBuiltError)
    return new WeftError('set-up', thrown.message, { remedy: 'npm run setup', cause: thrown });
  if (thrown instanceof CallTimeoutError)
    return new WeftError('host-unreachable', `libvirt did not answer in time: ${what}`, {
      remedy: 'Look at libvirtd on this host: systemctl status libvirtd',
      cause: thrown,
    });
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new WeftError('hypervisor-failed', `${what}: ${message}`, {
    cause: thrown,
    ...(isLibvirtError(thrown) ? { details: { libvirt: thrown.codeName } } : {}),
  });
}
