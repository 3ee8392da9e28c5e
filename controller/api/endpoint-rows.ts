import { z } from 'zod';
import type { EdgeReport } from '../../agent/protocol/index.ts';
import { attemptText } from '../certificates/rows.ts';
import { problemsAt, servingHosts } from '../certificates/served.ts';
import { usesOf } from '../certificates/uses.ts';
import type { HostLink } from '../fleet/contract.ts';
import { publicAddressOf } from '../model/public-address.ts';
import type { ApplicationRecord, CertificateRecord, HostRecord, VmRecord } from '../model/records.ts';
import { servingEdges } from '../reconciler/edge-endpoints.ts';
import { endpointsOf } from '../reconciler/edge-goals.ts';
import { reasonsOf } from './endpoint-reasons.ts';

/** An endpoint that the world may reach, as edge hosts serve it. */
export const endpointRow = z.object({
  id: z.string(),
  addresses: z.array(z.string()),
  port: z.number(),
  protocol: z.string(),
  /** `failed`: not by the host that has its address, or by none where each has its own; `reason` also says where else it is not. `deleting`: its application is. */
  state: z.enum(['served', 'failed', 'deleting']),
  reason: z.string().optional(),
  /** The host that has its address now; null: none, or each has its own. */
  host: z.string().nullable(),
  /** Of all hosts that tell of it, since their agents, or their load balancers, began. */
  connections: z.number(),
  bytesIn: z.number(),
  bytesOut: z.number(),
  backends: z.array(
    z.object({
      name: z.string(),
      address: z.string(),
      /** `up` on every host that serves it. */
      state: z.enum(['up', 'down', 'draining']),
      sessions: z.number(),
    }),
  ),
});
export type EndpointRow = z.infer<typeof endpointRow>;

type Seen = EdgeReport['endpoints'][number];
type Links = readonly Pick<HostLink, 'name' | 'connected' | 'report'>[];

const NOBODY =
  'no edge host is up: one needs haproxy and keepalived, and an address that others reach, and not the label edge: "false"';

const UNPLACED =
  'it has no public address yet, and is given the first that is free; until then edge hosts serve it at their own';

const DELETING = 'its application is being deleted';

/** Name of a certificate → why the hook has not obtained it. */
type LateCertificates = ReadonlyMap<string, string>;

/** What is to be told at the endpoints that want these certificates. Pure. */
export function lateCertificates(
  certificates: readonly CertificateRecord[],
  applications: readonly ApplicationRecord[],
  nowMs: number,
): LateCertificates {
  const uses = usesOf(applications);
  return new Map(
    certificates.flatMap((record) => {
      const use = uses.get(record.name);
      const text = use ? attemptText(record, use, nowMs) : null;
      return text === null ? [] : [[record.name, text] as const];
    }),
  );
}

/** What is known of the fleet beside its hosts. */
interface OfFleet {
  readonly late?: LateCertificates;
  /** It has public addresses for its applications. */
  readonly hasPublic?: boolean;
}

/** What an application publishes, and how that goes. Pure. @param vms the application's. */
export function endpointRows(
  application: ApplicationRecord,
  hosts: readonly HostRecord[],
  vms: readonly VmRecord[],
  links: Links,
  { late = new Map(), hasPublic = false }: OfFleet = {},
): EndpointRow[] {
  const edges = servingEdges(hosts);
  const own = edges.flatMap(({ offer }) => offer?.underlay?.address ?? []);
  const reports = new Map(
    links.flatMap(({ name, connected, report }) =>
      connected && report?.edge ? [[name, report.edge] as const] : [],
    ),
  );
  const serve = servingHosts(hosts, links);
  return endpointsOf(application, own, vms).map(
    ({ id, addresses, port, protocol, certificate, backends }) => {
      const shared = publicAddressOf(application, id.split('/')[1] ?? '')?.address;
      const holders = edges
        .map(({ name }) => name)
        .filter((name) => shared !== undefined && reports.get(name)?.held.includes(shared));
      const seen = edges.map(({ name }) => ({
        host: name,
        endpoint: reports.get(name)?.endpoints.find((each) => each.id === id),
      }));
      const told = seen.flatMap(({ endpoint }) => endpoint ?? []);
      const serving = seen.flatMap(({ endpoint }) => (endpoint?.state === 'served' ? [endpoint] : []));
      const problems = reasonsOf(seen, links);
      const nowhere = shared !== undefined && holders.length === 0 ? [`no edge host has ${shared}`] : [];
      const outdated = certificate === undefined ? [] : problemsAt(serve, certificate);
      const isLate = certificate === undefined ? undefined : late.get(certificate);
      const unserved = edges.length === 0 ? NOBODY : [...nowhere, ...problems].join('; ');
      const isDeleting = application.deleting;
      const unplaced = hasPublic && shared === undefined && edges.length > 0 ? UNPLACED : '';
      const reason = isDeleting
        ? DELETING
        : [unserved, unplaced, ...outdated, isLate].filter(Boolean).join('; ');
      const hosts = seen.filter(({ endpoint }) => endpoint?.state === 'served').map(({ host }) => host);
      // Nobody who comes to a shared address gets to the hosts that do not have it.
      const isServed =
        shared === undefined
          ? serving.length > 0
          : holders.length > 0 && holders.every((name) => hosts.includes(name));
      return {
        ...{ id, addresses, port, protocol },
        state: isDeleting ? 'deleting' : isServed ? 'served' : 'failed',
        ...(reason === '' ? {} : { reason }),
        host: holders[0] ?? null,
        connections: sum(told, 'connections'),
        bytesIn: sum(told, 'bytesIn'),
        bytesOut: sum(told, 'bytesOut'),
        backends: backends.map(({ name, address, state }) => {
          const found = serving.map((endpoint) => endpoint.backends.find((each) => each.name === name));
          const isUp = found.length > 0 && found.every((each) => each?.state === 'up');
          return {
            ...{ name, address, state: state === 'draining' ? state : isUp ? 'up' : 'down' },
            sessions: found.reduce((total, each) => total + (each?.sessions ?? 0), 0),
          };
        }),
      };
    },
  );
}

const sum = (endpoints: readonly Seen[], field: 'connections' | 'bytesIn' | 'bytesOut'): number =>
  endpoints.reduce((total, endpoint) => total + endpoint[field], 0);
