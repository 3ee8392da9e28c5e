import { type PublicPorts, publicPorts } from '../model/public-ports.ts';
import type { ApplicationRecord, VmRecord } from '../model/records.ts';

/**
 * Ports at the load balancers that an application has as long as anything of it is served: beside what it declares, those of what is not
 * declared any more, and of instances that are scaled in.
 */
export function servedPorts(
  { name, service, retired = {}, retiredMachines = {} }: ApplicationRecord,
  vms: readonly VmRecord[],
): readonly PublicPorts[] {
  const reached = new Map<string, number>();
  for (const { app, role, index } of vms)
    if (app === name && role !== null) reached.set(role, Math.max(reached.get(role) ?? 0, (index ?? 0) + 1));
  const roles = Object.entries({ ...retired, ...service.roles }).map(
    ([role, { endpoints, instances }]) =>
      [role, { endpoints, instances: Math.max(instances, reached.get(role) ?? 0) }] as const,
  );
  return publicPorts({
    roles: Object.fromEntries(roles),
    machines: { ...retiredMachines, ...service.machines },
  });
}
