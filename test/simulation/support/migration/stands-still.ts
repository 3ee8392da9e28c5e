import type { FakeDomain } from '../../../../agent/hypervisor/fake/fake-hypervisor.ts';

/** libvirt's word for a guest that stands still because it is being handed over. */
export const STANDS_STILL = 'migration';

/** It runs nothing, and has no lock on its disk. */
export const isStill = ({ state, reason }: Pick<FakeDomain, 'state' | 'reason'>): boolean =>
  state === 'paused' && (reason === STANDS_STILL || reason === WAITS);

/** libvirt's word for a guest that came whole, and was to stay paused. */
export const WAITS = 'user';
