import type { AgentConfiguration } from '../configuration.ts';
import type { Executor } from '../executor/executor.ts';
import { machinesToGuard } from '../executor/machines-to-guard.ts';
import type { HostLease } from '../executor/options.ts';
import { bootTimeMs } from '../guard/boot-time.ts';
import { LeaseKeeper } from '../guard/lease-keeper.ts';
import type { GuardFolder } from '../guard/notes.ts';

const sharedPoolsOf = ({ pools }: AgentConfiguration) => pools.filter(({ kind }) => kind !== 'local');

/** The agent's half of the guard; null where this host has none. */
export function createLeaseKeeper(
  configuration: AgentConfiguration,
  folder: GuardFolder,
  executor: () => Executor,
): LeaseKeeper | null {
  const { guard } = configuration;
  if (!guard.enabled) return null;
  const sharedPools = sharedPoolsOf(configuration);
  return new LeaseKeeper({
    folder,
    bootTimeMs,
    leaseMs: guard.leaseMs,
    machines: () => machinesToGuard(executor().goal, guard.watchdog, sharedPools),
    onHeld: () => executor().wake(),
  });
}

/** What the executor asks before it touches a machine on a pool that hosts share. */
export const leaseOf = (keeper: LeaseKeeper, configuration: AgentConfiguration): HostLease => ({
  sharedPools: new Set(sharedPoolsOf(configuration).map(({ name }) => name)),
  isHeld: () => keeper.isHeld(),
  takeStopped: (domain) => keeper.takeStopped(domain),
});
