import type { HostLink } from '../fleet/contract.ts';
import type { HostRecord } from '../model/records.ts';
import { servingEdges } from '../reconciler/edge-endpoints.ts';

/** An edge host, and by their names the digests of the certificates that it serves; null: it is not heard, or its agent is too old to tell. */
export interface ServingHost {
  readonly host: string;
  readonly certificates: ReadonlyMap<string, string> | null;
  /** Name → why it serves one that is not the newest of its own. */
  readonly problems: ReadonlyMap<string, string>;
}

/** `served`: the one that the controller keeps. `other`: another one of its name, older or the host's own. */
export type ServedState = 'served' | 'other' | 'none' | 'unknown';

/** How each edge host that may serve now has a certificate. */
export type ServedBy = readonly { readonly host: string; readonly state: ServedState }[];

/** What edge hosts tell of certificates. Pure. */
export const servingHosts = (
  hosts: readonly HostRecord[],
  links: readonly Pick<HostLink, 'name' | 'connected' | 'report'>[],
): readonly ServingHost[] =>
  servingEdges(hosts).map(({ name: host }) => {
    const link = links.find(({ name }) => name === host);
    const told = link?.connected === true ? link.report?.edge?.certificates : undefined;
    return {
      host,
      certificates: told ? new Map(told.map(({ name, digest }) => [name, digest])) : null,
      problems: new Map(
        told?.flatMap(({ name, problem }) => (problem === undefined ? [] : [[name, problem] as const])),
      ),
    };
  });

/** What is wrong with a certificate on hosts that serve an endpoint with it. Pure. */
export const problemsAt = (hosts: readonly ServingHost[], name: string): readonly string[] =>
  hosts.flatMap(({ host, problems }) => (problems.has(name) ? [`${host}: ${problems.get(name)}`] : []));

/** @param digest of what the controller keeps; null: it keeps none. Pure. */
export const servedBy = (hosts: readonly ServingHost[], name: string, digest: string | null): ServedBy =>
  hosts.map(({ host, certificates }) => {
    if (certificates === null) return { host, state: 'unknown' };
    const found = certificates.get(name);
    if (found === undefined) return { host, state: 'none' };
    return { host, state: found === digest ? 'served' : 'other' };
  });
