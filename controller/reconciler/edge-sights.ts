import type { EdgeReport } from '../../agent/protocol/index.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import { derived } from './derived.ts';
import type { Draft } from './draft.ts';
import { endpointsOfVm, servingEdges } from './edge-endpoints.ts';
import { backendName } from './edge-goals.ts';

type EndpointSeen = EdgeReport['endpoints'][number];
type BackendSeen = EndpointSeen['backends'][number];

/** Hosts that serve the world now. */
export const edgesOf = (draft: Draft): readonly HostRecord[] => draft.of('hosts', servingEdges);

/** An endpoint that a host says it cannot serve. */
export interface Unserved {
  readonly id: string;
  readonly host: string;
  readonly reason: string;
}

const NOTHING: Pick<EdgeReport, 'endpoints'> = { endpoints: [] };

/** Endpoint → why the host cannot serve it. */
const failedBy = ({ endpoints }: Pick<EdgeReport, 'endpoints'>): ReadonlyMap<string, string> =>
  new Map(
    endpoints.flatMap(({ id, state, reason }) =>
      state === 'failed' ? [[id, reason ?? 'it does not say why'] as const] : [],
    ),
  );

/** Those of a VM's, by hosts that have looked with their newest goal. */
export function unservedOf(draft: Draft, record: VmRecord): readonly Unserved[] {
  const ids = endpointsOfVm(draft.get('applications', record.app), record).map(({ id }) => id);
  return edgesOf(draft).flatMap(({ name: host }) => {
    const live = draft.world.live.get(host);
    if (!live?.connected || live.acknowledged === null) return [];
    const failed = derived(live.report?.edge ?? NOTHING, failedBy);
    return ids.flatMap((id) => (failed.has(id) ? [{ id, host, reason: failed.get(id) ?? '' }] : []));
  });
}

/**
 * Whether something holds of a VM's backend on every host that serves the world, for each of its endpoints. An endpoint that a host
 * cannot serve is nobody's there. A host that has not looked with its newest goal yet says nothing.
 * @param holds undefined: the host does not have that backend.
 */
export function onAllEdges(
  draft: Draft,
  record: VmRecord,
  incarnation: number,
  holds: (backend: BackendSeen | undefined) => boolean,
): boolean {
  const ids = endpointsOfVm(draft.get('applications', record.app), record).map(({ id }) => id);
  const name = backendName(record, incarnation);
  return edgesOf(draft).every((edge) => {
    const live = draft.world.live.get(edge.name);
    if (!live?.connected || live.acknowledged === null) return false;
    const endpoints = live.report?.edge?.endpoints ?? [];
    return ids.every((id) => {
      const endpoint = endpoints.find((each) => each.id === id);
      if (!endpoint) return false;
      return endpoint.state === 'failed' || holds(endpoint.backends.find((each) => each.name === name));
    });
  });
}
