import type { DomainView } from '../hypervisor/driver.ts';
import type { GuestSeen } from '../protocol/index.ts';

/** One that crashed is kept as it was, with its disk open. */
export const guestOf = (domain: DomainView | undefined): GuestSeen => {
  if (!domain || domain.state === 'shut-off') return 'absent';
  return domain.state === 'running' ? 'running' : 'paused';
};
