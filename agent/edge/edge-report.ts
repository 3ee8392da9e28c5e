import {
  type Backend,
  type EdgeReport,
  MOST_BACKENDS,
  MOST_ENDPOINTS,
  type PublishedEndpoint,
} from '../protocol/index.ts';
import type { EndpointTotals } from './endpoint-totals.ts';
import { proxyOf } from './haproxy-configuration.ts';
import { pathOf, type Statistics } from './runtime.ts';
import { backendOfServer } from './server-names.ts';

type EndpointReport = EdgeReport['endpoints'][number];
type BackendState = EndpointReport['backends'][number]['state'];

/** Proxy, and frontend or backend → what each worker that has it has counted; the current worker's is first. A backend may be several servers. */
type Counted = ReadonlyMap<string, readonly (readonly Statistics[])[]>;

/**
 * How each endpoint is served: of the first ones only, where there are more than a controller takes a report of.
 * @param workers their statistics, the current one's first. @param failed id → why it is not. @param totals over all workers that ever were.
 */
export function reportEndpoints(
  endpoints: readonly PublishedEndpoint[],
  workers: readonly (readonly Statistics[])[],
  failed: ReadonlyMap<string, string>,
  totals: Pick<EndpointTotals, 'of'>,
): EndpointReport[] {
  const counted = countedBy(workers);
  return endpoints.slice(0, MOST_ENDPOINTS).map((endpoint) => {
    const { id } = endpoint;
    const backends = endpoint.backends.slice(0, MOST_BACKENDS);
    const front = counted.get(`${proxyOf(id)}/FRONTEND`) ?? [];
    const reason = failed.get(id) ?? (front.length === 0 ? 'the load balancer does not run' : undefined);
    const { denied, ...total } = totals.of(proxyOf(id));
    return {
      id,
      state: reason === undefined ? 'served' : 'failed',
      ...(reason === undefined ? {} : { reason }),
      ...total,
      ...(endpoint.limit === undefined ? {} : { denied }),
      backends: backends.map((backend) => {
        const found = counted.get(`${proxyOf(id)}/${backend.name}`) ?? [];
        return {
          name: backend.name,
          state: reason === undefined ? stateOf(backend, found[0] ?? []) : 'down',
          sessions: found.flat().reduce((total, { sessions }) => total + sessions, 0),
        };
      }),
    };
  });
}

/**
 * How each endpoint is served while the load balancer runs and does not say: what fails is told, of all else what was told last. One that was never told of is
 * left out, for nobody knows; a host that says it fails has nobody connected to it.
 */
export function reportUntold(
  endpoints: readonly PublishedEndpoint[],
  failed: ReadonlyMap<string, string>,
  before: readonly EndpointReport[],
  totals: Pick<EndpointTotals, 'of'>,
): EndpointReport[] {
  const known = new Map(before.map((each) => [each.id, each]));
  return reportEndpoints(endpoints, [], failed, totals).flatMap((each) =>
    failed.has(each.id) ? each : (known.get(each.id) ?? []),
  );
}

/** Whether the worker that takes new connections says nothing of itself. @param workers what they say, the current one's first. */
export const isUntold = (workers: readonly (readonly Statistics[])[]): boolean =>
  (workers[0] ?? []).length === 0;

/** Of these endpoints, those at whose ports the current worker listens. Null: it runs, and does not say. @param workers the current one's first. */
export function servedNow(
  endpoints: readonly PublishedEndpoint[],
  workers: readonly (readonly Statistics[])[],
): ReadonlySet<string> | null {
  const [current = []] = workers;
  if (isUntold(workers)) return null;
  const fronts = new Set(current.filter(isListening).map(({ proxy }) => proxy));
  return new Set(endpoints.map(({ id }) => id).filter((id) => fronts.has(proxyOf(id))));
}

/**
 * Of these endpoints, those with a backend that is reached from here: one that is ready and up, or one that is draining and has connections.
 * @param workers the current one's first.
 */
export function reachedNow(
  endpoints: readonly PublishedEndpoint[],
  workers: readonly (readonly Statistics[])[],
): ReadonlySet<string> {
  const counted = countedBy(workers);
  const isReached = (id: string, backend: Backend) => {
    const found = counted.get(`${proxyOf(id)}/${backend.name}`) ?? [];
    return backend.state === 'ready'
      ? stateOf(backend, found[0] ?? []) === 'up'
      : found.flat().some(({ sessions }) => sessions > 0);
  };
  return new Set(
    endpoints.flatMap(({ id, backends }) => (backends.some((each) => isReached(id, each)) ? [id] : [])),
  );
}

/** A worker that is on its way out tells of its frontends still. */
const isListening = ({ name, status }: Statistics): boolean => name === 'FRONTEND' && status !== 'STOP';

/** @param now its servers: one that is still there from another place drains. */
function stateOf({ state }: Backend, now: readonly Statistics[]): BackendState {
  if (state === 'draining') return 'draining';
  return now.some(({ status }) => /^(UP|no check)/.test(status)) ? 'up' : 'down';
}

function countedBy(workers: readonly (readonly Statistics[])[]): Counted {
  const counted = new Map<string, Statistics[][]>();
  for (const lines of workers)
    for (const [key, those] of byBackend(lines)) counted.set(key, [...(counted.get(key) ?? []), those]);
  return counted;
}

function byBackend(lines: readonly Statistics[]): ReadonlyMap<string, Statistics[]> {
  const found = new Map<string, Statistics[]>();
  for (const line of lines) {
    const key = pathOf({ proxy: line.proxy, name: backendOfServer(line.name) });
    const known = found.get(key);
    if (known) known.push(line);
    else found.set(key, [line]);
  }
  return found;
}
