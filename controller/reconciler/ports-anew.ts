import { clashOf, publicPorts } from '../model/public-ports.ts';
import type { ApplicationRecord } from '../model/records.ts';
import type { Role, Service } from '../model/service.ts';

/**
 * Which roles a declaration takes a port from, by declaring it anew: all ports of all instances are looked at. Those of machines that have an
 * address of their own are nobody else's.
 */
export function takesPortsOf(
  { roles, machines }: Pick<Service, 'roles' | 'machines'>,
  before: Pick<ApplicationRecord, 'publicMachines'> | null,
): (role: Pick<Role, 'endpoints' | 'instances'>) => boolean {
  const hasOwnAddress = (machine: string) => Object.hasOwn(before?.publicMachines ?? {}, machine);
  const declared = publicPorts({ roles, machines }).filter(
    ({ isApart, path }) => !(isApart && hasOwnAddress(path[1] ?? '')),
  );
  return (role) => publicPorts({ roles: { role } }).some((ports) => clashOf(ports, declared) !== null);
}
