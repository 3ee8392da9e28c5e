import type { ApplicationRecord, VmRecord } from '../model/records.ts';
import type { Machine, Role, Service } from '../model/service.ts';
import type { Draft } from './draft.ts';
import { takesPortsOf } from './ports-anew.ts';
import { published } from './published.ts';

/** A role as it is declared, or as it was before its last instances began to go. Undefined: there is none. */
export const roleOf = (application: ApplicationRecord | undefined, name: string): Role | undefined =>
  ownOf(application?.service.roles, name) ?? ownOf(application?.retired, name);

/** A machine as it is declared, or as it was before it was deleted, for as long as it drains. Undefined: there is none. */
export const machineOf = (application: ApplicationRecord | undefined, name: string): Machine | undefined =>
  ownOf(application?.service.machines, name) ?? ownOf(application?.retiredMachines, name);

/** A field that is an object's own, and of no other one's. */
export const ownOf = <T>(all: Readonly<Record<string, T>> | undefined, name: string): T | undefined =>
  all && Object.hasOwn(all, name) ? all[name] : undefined;

type Retired = Pick<ApplicationRecord, 'retired' | 'retiredMachines'>;

/** What is remembered of what another declaration leaves out: those who use it have connections that are to end in their own time. */
export function retiredAfter(
  before: ApplicationRecord | null,
  { roles, machines }: Pick<Service, 'roles' | 'machines'>,
): Retired {
  const isDeclared = (name: string) => Object.hasOwn(roles, name) || Object.hasOwn(machines, name);
  // A port that is declared anew is served anew, at once: connections to what had it end.
  const isTaken = takesPortsOf({ roles, machines }, before);
  const known = { ...before?.retired, ...before?.service.roles };
  const retired = Object.entries(known).filter(
    ([name, role]) => !isDeclared(name) && published(role).length > 0 && !isTaken(role),
  );
  const retiredMachines = Object.entries(before?.retiredMachines ?? {}).filter(
    ([name, machine]) =>
      !isDeclared(name) &&
      (hasOwnAddress(before, name) || !isTaken({ endpoints: {}, ...machine, instances: 1 })),
  );
  return {
    ...(retired.length === 0 ? {} : { retired: Object.fromEntries(retired) }),
    ...(retiredMachines.length === 0 ? {} : { retiredMachines: Object.fromEntries(retiredMachines) }),
  };
}

const hasOwnAddress = (application: ApplicationRecord | null, machine: string): boolean =>
  ownOf(application?.publicMachines, machine) !== undefined;

/** The application without this machine, which is not made again; remembered as it was, where it publishes something. */
export function withoutMachine(application: ApplicationRecord, name: string): ApplicationRecord {
  const machine = ownOf(application.service.machines, name);
  if (!machine) return application;
  const { [name]: _removed, ...machines } = application.service.machines;
  const retiredMachines = { ...application.retiredMachines, [name]: machine };
  return {
    ...application,
    generation: application.generation + 1,
    service: { ...application.service, machines },
    ...(published(machine).length > 0 ? { retiredMachines } : {}),
  };
}

/** A role of which no instance is left is of no account any more, nor is a machine that goes. */
export function forgetRetired(draft: Draft): void {
  for (const application of draft.of('applications', withRetired)) {
    const { retired = {}, retiredMachines = {}, retiredFlows, ...rest } = application;
    const left = draft.of('vms', rolesLeft);
    const staying = draft.of('vms', machinesStaying);
    const roles = keptOf(retired, (role) => left.has(`${application.name}/${role}`));
    const machines = keptOf(retiredMachines, (machine) => staying.has(`${application.name}/${machine}`));
    if (!roles.isLess && !machines.isLess) continue;
    draft.put('applications', application.name, {
      ...rest,
      ...(roles.isEmpty ? {} : { retired: roles.kept }),
      ...(machines.isEmpty ? {} : { retiredMachines: machines.kept }),
      ...(retiredFlows && !(roles.isEmpty && machines.isEmpty) ? { retiredFlows } : {}),
    });
  }
}

function keptOf<T>(all: Readonly<Record<string, T>>, isKept: (name: string) => boolean) {
  const names = Object.keys(all);
  const entries = Object.entries(all).filter(([name]) => isKept(name));
  return {
    kept: Object.fromEntries(entries),
    isLess: entries.length < names.length,
    isEmpty: entries.length === 0,
  };
}

const withRetired = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications.filter(({ retired, retiredMachines }) => retired ?? retiredMachines);

const rolesLeft = (vms: readonly VmRecord[]): ReadonlySet<string> =>
  new Set(vms.map(({ app, role }) => `${app}/${role}`));

const machinesStaying = (vms: readonly VmRecord[]): ReadonlySet<string> =>
  new Set(vms.filter(({ role, deleting }) => role === null && !deleting).map(({ id }) => id));
