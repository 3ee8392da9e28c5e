import type { PoolConfiguration, RbdPoolConfiguration } from '../disks/contract.ts';
import { type MachinesNote, RBD_PREFIX } from '../guard/notes.ts';
import { type Goal, hereOrComing } from '../protocol/index.ts';
import { domainName, domainUuid } from './names.ts';

/**
 * What the guard of this host is to know.
 * @param watchdog its device, or `none`.
 * @returns null while no goal came: what is to run here is not known then, and what the guard knows is left as it is.
 */
export function machinesToGuard(
  goal: Goal | null,
  watchdog: string,
  sharedPools: readonly (PoolConfiguration | RbdPoolConfiguration)[],
): MachinesNote | null {
  if (goal === null) return null;
  const { fleet } = goal;
  const isShared = (pool: string) => sharedPools.some(({ name }) => name === pool);
  return {
    fleet,
    watchdog: watchdog === 'none' ? null : watchdog,
    sharedPools: sharedPools.map((pool) => (pool.kind === 'rbd' ? `${RBD_PREFIX}${pool.pool}` : pool.path)),
    machines: hereOrComing(goal)
      .filter(({ kind, pool }) => kind === 'machine' && isShared(pool))
      .map(({ id }) => ({ name: domainName(fleet, id), uuid: domainUuid(fleet, id) })),
  };
}
