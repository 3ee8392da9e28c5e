import { isChallengeEndpoint } from '../../agent/protocol/index.ts';
import type { HostLink } from '../fleet/contract.ts';
import { listAddresses, publicAddressOf } from '../model/public-address.ts';
import type { ApplicationRecord, ChallengeRecord, HostRecord } from '../model/records.ts';
import { challengeEndpoints } from '../reconciler/edge-challenges.ts';
import { publishedBy, servingEdges } from '../reconciler/edge-endpoints.ts';

/** A row of `weft certificate challenge ls`. */
export interface ChallengeRow {
  readonly token: string;
  readonly untilMs: number;
  /** Where it is answered. */
  readonly endpoints: readonly string[];
  readonly hosts: readonly { readonly host: string; readonly answers: boolean }[];
  /** Public addresses of these endpoints that no edge host has yet: nobody is reached there. */
  readonly awaited: readonly string[];
}

type Links = readonly Pick<HostLink, 'name' | 'connected' | 'report'>[];

/** What ACME servers are answered, and how far that is. Pure. */
export function challengeRows(
  challenges: readonly ChallengeRecord[],
  applications: readonly ApplicationRecord[],
  hosts: readonly HostRecord[],
  links: Links,
): readonly ChallengeRow[] {
  const edges = new Set(servingEdges(hosts).map(({ name }) => name));
  const reports = new Map(
    links.flatMap(({ name, connected, report }) =>
      connected && edges.has(name) && report?.edge ? [[name, report.edge] as const] : [],
    ),
  );
  const held = new Set([...reports.values()].flatMap((report) => report.held));
  const addresses = new Set(applications.flatMap(addressesOf));
  return challenges.map(({ token, untilMs }) => ({
    ...{ token, untilMs, endpoints: challengeEndpoints(applications) },
    hosts: [...edges].map((host) => ({
      host,
      answers: reports.get(host)?.challenges?.includes(token) === true,
    })),
    awaited: [...addresses].filter((address) => !held.has(address)),
  }));
}

const addressesOf = (application: ApplicationRecord): readonly string[] =>
  publishedBy(application)
    .filter(({ endpoint }) => isChallengeEndpoint(endpoint))
    .flatMap(({ owner }) => listAddresses(publicAddressOf(application, owner)));
