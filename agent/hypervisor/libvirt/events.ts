import type { ReconnectingConnection } from '@weft/node-libvirt';
import type { Logger } from '../../kit/log.ts';
import type { DomainEvent, HypervisorDriver } from '../driver.ts';
import { stateAfter } from './translate.ts';

/** Turns libvirt's events into the driver's. */
export function forwardEvents(
  connection: ReconnectingConnection,
  emit: (event: DomainEvent) => void,
  log: Logger,
): void {
  connection.on('lifecycle', (event) => {
    const { name } = event.domain;
    if (event.type === 'crashed' && event.detail === 'panicked') emit({ type: 'crash', name });
    if (event.type === 'shutdown' && event.detail === 'guest') emit({ type: 'power-off', name });
    const state = stateAfter(event);
    if (state !== null) emit({ type: 'lifecycle', name, state, detail: `${event.type} ${event.detail}` });
  });
  connection.on('reboot', (event) => emit({ type: 'reboot', name: event.domain.name }));
  connection.on('guest-agent', (event) =>
    emit({ type: 'guest-agent', name: event.domain.name, connected: event.state === 'connected' }),
  );
  connection.on('io-error', (event) =>
    emit({
      type: 'io-error',
      name: event.domain.name,
      detail: `${event.deviceAlias}: ${event.reason || event.action}`,
    }),
  );
  connection.on('watchdog', (event) => emit({ type: 'watchdog', name: event.domain.name }));
  connection.on('connected', () => emit({ type: 'connected' }));
  connection.on('disconnected', ({ reason }) => emit({ type: 'disconnected', reason }));
  connection.on('attempt-failed', ({ error, delayMs }) =>
    log.warn({ err: error, delayMs }, 'libvirt does not answer; trying again'),
  );
}

/** True when such an event came within the limit. Ask for it before doing what causes it. */
export function waitForEvent(
  driver: Pick<HypervisorDriver, 'onEvent'>,
  wanted: (event: DomainEvent) => boolean,
  limitMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (came: boolean) => {
      clearTimeout(timer);
      stop();
      resolve(came);
    };
    const timer = setTimeout(() => finish(false), limitMs);
    const stop = driver.onEvent((event) => {
      if (wanted(event)) finish(true);
    });
  });
}
