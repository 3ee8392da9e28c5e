import type { ApplicationRecord, VmRecord } from '../model/records.ts';
import type { Role, Service } from '../model/service.ts';
import type { Draft } from './draft.ts';
import { takesPortsOf } from './ports-anew.ts';

const isPublished = ({ endpoints }: Pick<Role, 'endpoints'>): boolean =>
  Object.values(endpoints).some(({ type }) => type !== 'internal');

/** A role as it is declared, or as it was before its last instances began to go. Undefined: there is none. */
export function roleOf(application: ApplicationRecord | undefined, name: string): Role | undefined {
  for (const roles of [application?.service.roles, application?.retired])
    if (roles && Object.hasOwn(roles, name)) return roles[name];
  return undefined;
}

/** What is remembered of roles that another declaration leaves out: those who use them have connections that are to end in their own time. */
export function retiredAfter(
  before: ApplicationRecord | null,
  { roles, machines }: Pick<Service, 'roles' | 'machines'>,
): Pick<ApplicationRecord, 'retired'> {
  const known = { ...before?.retired, ...before?.service.roles };
  // A name or a port that is declared anew is served anew, at once: connections to what had it end.
  const isTaken = takesPortsOf({ roles, machines }, before);
  const isNamed = (name: string) => Object.hasOwn(roles, name) || Object.hasOwn(machines, name);
  const retired = Object.entries(known).filter(
    ([name, role]) => !isNamed(name) && isPublished(role) && !isTaken(role),
  );
  return retired.length === 0 ? {} : { retired: Object.fromEntries(retired) };
}

/** A role of which no instance is left is of no account any more. */
export function forgetRetiredRoles(draft: Draft): void {
  for (const application of draft.of('applications', withRetired)) {
    const left = draft.of('vms', rolesLeft);
    const entries = Object.entries(application.retired ?? {});
    const kept = entries.filter(([role]) => left.has(`${application.name}/${role}`));
    if (kept.length === entries.length) continue;
    const { retired: _before, ...rest } = application;
    draft.put('applications', application.name, {
      ...rest,
      ...(kept.length === 0 ? {} : { retired: Object.fromEntries(kept) }),
    });
  }
}

const withRetired = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications.filter(({ retired }) => retired);

const rolesLeft = (vms: readonly VmRecord[]): ReadonlySet<string> =>
  new Set(vms.map(({ app, role }) => `${app}/${role}`));
