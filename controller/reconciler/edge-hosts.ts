import type { ApplicationRecord, HostRecord } from '../model/records.ts';
import type { Role } from '../model/service.ts';

/** An endpoint of a role that the world may reach. What the model does not say of it is as by default. */
export type InputEndpoint = Role['endpoints'][string] & {
  /** TLS ends at the load balancer, with the certificate of this name. */
  readonly certificate?: string | undefined;
  readonly proxyProtocol?: boolean | undefined;
  /** How long old connections go on when an instance is about to go. */
  readonly drainMs?: number | undefined;
};

const DEFAULT_DRAIN_MS = 30_000;

/** Name → endpoint, of those that the world may reach. */
export const inputEndpointsOf = (role: Role | undefined): readonly (readonly [string, InputEndpoint])[] =>
  Object.entries(role?.endpoints ?? {}).filter(([, { type }]) => type === 'input');

export const hasInputEndpoints = ({ service }: ApplicationRecord): boolean =>
  Object.values(service.roles).some((role) => inputEndpointsOf(role).length > 0);

/** How long connections to an instance of this role are waited for at most, ms. */
export const drainMsOf = (role: Role | undefined): number =>
  Math.max(0, ...inputEndpointsOf(role).map(([, { drainMs }]) => drainMs ?? DEFAULT_DRAIN_MS));

/** Hosts that serve the world, in order: of those that can, only the ones that are labelled for it, where any is. */
export function edgeHosts(hosts: readonly HostRecord[]): readonly HostRecord[] {
  const able = hosts.filter(({ offer }) => offer?.edge === true && offer.underlay !== undefined);
  const named = able.filter(({ offer }) => offer?.labels.edge === 'true');
  return [...(named.length > 0 ? named : able)].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Those of them that may be serving now: one that is silent for a moment only does. */
export const servingEdges = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  edgeHosts(hosts).filter(({ state }) => state === 'up' || state === 'suspect');
