import { Counter, Gauge, type Registry } from 'prom-client';
import type { EdgeReport } from '../../agent/protocol/index.ts';
import type { HostLink } from '../fleet/contract.ts';
import type { HostRecord } from '../model/records.ts';
import { servingEdges } from '../reconciler/edge-endpoints.ts';

type EndpointSeen = EdgeReport['endpoints'][number];

const LABELS = ['endpoint', 'app', 'host'] as const;
const BACKEND_STATES = ['up', 'down', 'draining'] as const;

/** Figures of each endpoint on each edge host, by name. What only grows begins anew with the host's agent, or its load balancer. */
const COUNTERS: readonly (readonly [name: string, help: string, of: (seen: EndpointSeen) => number])[] = [
  ['weft_endpoint_connections_total', 'Connections from clients', (seen) => seen.connections],
  ['weft_endpoint_received_bytes_total', 'Bytes from clients', (seen) => seen.bytesIn],
  ['weft_endpoint_sent_bytes_total', 'Bytes to clients', (seen) => seen.bytesOut],
  [
    'weft_endpoint_denied_total',
    'Connections and requests over the limit of their client',
    (seen) => seen.denied ?? 0,
  ],
  [
    'weft_endpoint_failed_total',
    'Connections and requests that came to no backend',
    (seen) => seen.failed ?? 0,
  ],
];
const GAUGES: readonly (readonly [name: string, help: string, of: (seen: EndpointSeen) => number])[] = [
  [
    'weft_endpoint_served',
    'Whether the host serves the endpoint',
    (seen) => (seen.state === 'served' ? 1 : 0),
  ],
  [
    'weft_endpoint_sessions',
    'Sessions with backends that are open now',
    ({ backends }) => backends.reduce((total, { sessions }) => total + sessions, 0),
  ],
];

/** How published endpoints are served, as the edge hosts that are connected report it; those that are silent are left out. */
export function measureEndpoints(
  registry: Registry,
  hosts: readonly HostRecord[],
  links: readonly Pick<HostLink, 'name' | 'connected' | 'report'>[],
): void {
  const registers = [registry];
  const counters = COUNTERS.map(([name, help]) => new Counter({ name, help, labelNames: LABELS, registers }));
  const gauges = GAUGES.map(([name, help]) => new Gauge({ name, help, labelNames: LABELS, registers }));
  const backends = new Gauge({
    name: 'weft_endpoint_backends',
    help: 'Backends, by how the load balancer finds them',
    labelNames: [...LABELS, 'state'],
    registers,
  });
  const edges = new Set(servingEdges(hosts).map(({ name }) => name));
  for (const { name: host, connected, report } of links) {
    if (!connected || !edges.has(host)) continue;
    for (const seen of report?.edge?.endpoints ?? []) {
      const labels = { endpoint: seen.id, app: seen.id.split('/')[0] ?? seen.id, host };
      for (const [index, [, , of]] of COUNTERS.entries()) counters[index]?.inc(labels, of(seen));
      for (const [index, [, , of]] of GAUGES.entries()) gauges[index]?.set(labels, of(seen));
      for (const state of BACKEND_STATES)
        backends.set({ ...labels, state }, seen.backends.filter((each) => each.state === state).length);
    }
  }
}
