import { isApart, listAddresses, publicAddressOf } from '../model/public-address.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { Endpoint, Machine, Role } from '../model/service.ts';
import { edgeHosts } from './edge-hosts.ts';
import { published } from './published.ts';
import { machineOf, roleOf } from './retired.ts';

const DEFAULT_DRAIN_MS = 30_000;
const LAST_PORT = 65_535;

/** An endpoint of a VM that is published, as load balancers know it. */
export interface PublishedAs {
  readonly id: string;
  /** Where the world comes to. */
  readonly port: number;
  /** As it is declared now. */
  readonly endpoint: Endpoint;
  readonly name: string;
}

const ownersOf = ({
  service,
  retired = {},
  retiredMachines = {},
}: ApplicationRecord): readonly [string, Role | Machine][] => [
  ...Object.entries(retired),
  ...Object.entries(retiredMachines),
  ...Object.entries(service.roles),
  ...Object.entries(service.machines),
];

/** Something of it is published. */
export const publishes = (application: ApplicationRecord): boolean =>
  ownersOf(application).some(([, owner]) => published(owner).length > 0);

/** Something of it is published at the application's own address, and not at that of a public machine. */
export const publishesTogether = (application: ApplicationRecord): boolean =>
  ownersOf(application).some(([name, owner]) => !isApart(application, name) && published(owner).length > 0);

/** What of an application says where it is reached. */
export const placesPart = (application: ApplicationRecord): unknown => [
  application.public,
  application.publicMachines,
  Object.keys(application.service.machines).filter((machine) => isApart(application, machine)),
];

/** What an application publishes: of roles and machines, by their names. */
export const publishedBy = (
  application: ApplicationRecord,
): readonly { readonly owner: string; readonly name: string; readonly endpoint: Endpoint }[] =>
  ownersOf(application).flatMap(([owner, made]) =>
    published(made).map(([name, endpoint]) => ({ owner, name, endpoint })),
  );

/** Where endpoints of a role or a machine are served. @param own where those are that have no public address. */
export function servedAt(
  application: ApplicationRecord,
  owner: string,
  own: readonly string[],
): readonly string[] {
  const shared = listAddresses(publicAddressOf(application, owner));
  return shared.length > 0 ? shared : own;
}

/**
 * Which endpoints publish this VM: one for all of its role, or one of its own. An instance that is on its way out may be beyond the last
 * port, when its endpoint begins at a higher one by now: that one is not published any more.
 */
export function endpointsOfVm(
  application: ApplicationRecord | undefined,
  { id, app, role, index }: Pick<VmRecord, 'id' | 'app' | 'role' | 'index'>,
): readonly PublishedAs[] {
  const owner = role ?? id.slice(id.indexOf('/') + 1);
  const made = role === null ? machineOf(application, owner) : roleOf(application, owner);
  return published(made).flatMap(([name, endpoint]) => {
    const own = endpoint.type === 'instance';
    const port = own ? endpoint.port + (index ?? 0) : endpoint.port;
    if (port > LAST_PORT) return [];
    return [{ id: `${app}/${owner}/${name}${own ? `/${index ?? 0}` : ''}`, port, endpoint, name }];
  });
}

/** How long connections to a VM are waited for at most, ms. */
export const drainMsOf = (endpoints: readonly PublishedAs[]): number =>
  Math.max(0, ...endpoints.map(({ endpoint }) => endpoint.drainMs ?? DEFAULT_DRAIN_MS));

/** Hosts that serve the world and can be reached by others, in order. */
export function reachableEdges(hosts: readonly HostRecord[]): readonly HostRecord[] {
  const names = edgeHosts(hosts);
  return hosts
    .filter(({ name, offer }) => names.has(name) && offer?.underlay !== undefined)
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Those of them that may be serving now: one that is silent for a moment only does. */
export const servingEdges = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  reachableEdges(hosts).filter(({ state }) => state === 'up' || state === 'suspect');
