import type { ApplicationRecord, VmRecord } from '../model/records.ts';
import type { Endpoint, Service } from '../model/service.ts';
import { roleDefinition } from './definition.ts';
import type { Draft } from './draft.ts';
import { isPublished } from './published.ts';
import { ownOf, roleOf } from './retired.ts';

type Endpoints = Readonly<Record<string, Endpoint>>;
type Former = NonNullable<ApplicationRecord['former']>;

/** What is remembered of endpoints that another declaration changes: instances answer as they were made, until they are replaced. */
export function formerAfter(
  before: ApplicationRecord | null,
  { roles, package: applicationPackage }: Pick<Service, 'roles' | 'package'>,
): Pick<ApplicationRecord, 'former'> {
  if (!before) return {};
  const all = Object.keys({ ...before.retired, ...before.service.roles }).map((name) => {
    const made = roleOf(before, name);
    const declared = ownOf(roles, name);
    const known = {
      ...ownOf(before.former, name),
      ...(made ? { [roleDefinition(made, before.service.package)]: made.endpoints } : {}),
    };
    // What is made from it now is as it is declared now.
    const now = declared && roleDefinition(declared, applicationPackage);
    return [name, pick(known, (definition) => definition !== now)] as const;
  });
  return asFormer(Object.fromEntries(all));
}

/**
 * An endpoint as instances of a definition answer it: on their own port, by their own protocol, to their own probe. All else of it is what is
 * declared now. @param today as it is declared now. @param definition another one than the role's of now, or the same.
 */
export function asMade(
  application: ApplicationRecord | undefined,
  { role, definition }: Pick<VmRecord, 'role' | 'definition'>,
  name: string,
  today: Endpoint,
): Endpoint {
  const endpoints =
    role === null ? undefined : ownOf<Endpoints>(ownOf(application?.former, role), definition);
  return endpoints ? asBefore(endpoints, name, today) : today;
}

/** All of a role's endpoints, as instances of a definition answer them. */
export const endpointsAsMade = (
  application: ApplicationRecord,
  made: Pick<VmRecord, 'role' | 'definition'>,
  today: Endpoints,
): Endpoints =>
  Object.fromEntries(
    Object.entries(today).map(([name, endpoint]) => [name, asMade(application, made, name, endpoint)]),
  );

/** An endpoint as it is declared now, and as instances of other definitions answer it that there may be still. */
export const everMade = (
  application: ApplicationRecord,
  role: string,
  name: string,
  today: Endpoint,
): readonly Endpoint[] => [
  today,
  ...Object.values(ownOf(application.former, role) ?? {}).map((endpoints) =>
    asBefore(endpoints, name, today),
  ),
];

/** One of another name is the same to the world, where it is published at the same port. What there was not before is as it is now. */
function asBefore(endpoints: Endpoints, name: string, today: Endpoint): Endpoint {
  const before =
    ownOf(endpoints, name) ??
    Object.values(endpoints).find(
      (each) => isPublished(each) && each.type === today.type && each.port === today.port,
    );
  if (!before) return today;
  const { probe: _probe, proxyProtocol: _proxyProtocol, ...outside } = today;
  const { protocol, targetPort, probe, proxyProtocol } = before;
  return {
    ...outside,
    ...{ protocol, targetPort },
    ...(probe === undefined ? {} : { probe }),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
  };
}

/** A definition from which no instance is left is of no account any more. */
export function forgetFormer(draft: Draft): void {
  for (const application of draft.of('applications', withFormer)) {
    const { former = {}, ...rest } = application;
    const left = draft.of('vms', definitionsLeft);
    const kept = Object.entries(former).map(([role, endpoints]) => {
      const isLeft = (definition: string) => left.has(keyOf(application.name, role, definition));
      return [role, pick(endpoints, isLeft)] as const;
    });
    if (kept.every(([role, endpoints]) => countOf(endpoints) === countOf(former[role] ?? {}))) continue;
    draft.put('applications', application.name, { ...rest, ...asFormer(Object.fromEntries(kept)) });
  }
}

const withFormer = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications.filter(({ former }) => former);

const definitionsLeft = (vms: readonly VmRecord[]): ReadonlySet<string> =>
  new Set(
    vms.flatMap(({ app, role, definition, successor }) =>
      [definition, successor?.definition].flatMap((each) =>
        role === null || each === undefined ? [] : [keyOf(app, role, each)],
      ),
    ),
  );

const keyOf = (app: string, role: string, definition: string) => `${app}/${role} ${definition}`;

function asFormer(former: Former): Pick<ApplicationRecord, 'former'> {
  const kept = Object.entries(former).filter(([, endpoints]) => countOf(endpoints) > 0);
  return kept.length === 0 ? {} : { former: Object.fromEntries(kept) };
}

const pick = <T>(all: Readonly<Record<string, T>>, isKept: (name: string) => boolean) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => isKept(name)));

const countOf = (all: object): number => Object.keys(all).length;
