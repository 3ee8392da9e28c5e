import type { EdgeReport } from '../../agent/protocol/index.ts';
import type { HostLink } from '../fleet/contract.ts';
import type { HostRecord } from '../model/records.ts';
import { servingEdges } from '../reconciler/edge-endpoints.ts';

type Seen = EdgeReport['endpoints'][number];

/** What one edge host's load balancer has counted of an endpoint, or why that is not known. */
export type EdgeFigures = { readonly host: string } & (
  | ({ readonly endpoint: string; readonly sessions: number } & Pick<
      Seen,
      'connections' | 'bytesIn' | 'bytesOut' | 'denied' | 'failed'
    >)
  | { readonly problem: string }
);

/** What edge hosts have reported last, each for itself. Pure. @param endpoint `crm/web/http`. */
export const edgeFigures = (
  endpoint: string,
  hosts: readonly HostRecord[],
  links: readonly Pick<HostLink, 'name' | 'connected' | 'report'>[],
): EdgeFigures[] =>
  servingEdges(hosts).map(({ name: host }) => {
    const link = links.find(({ name }) => name === host);
    if (!link?.connected) return { host, problem: 'not connected' };
    const seen = link.report?.edge?.endpoints.find(({ id }) => id === endpoint);
    if (!seen) return { host, problem: 'it has not said so yet' };
    const { connections, bytesIn, bytesOut, denied, failed, backends } = seen;
    return {
      ...{ host, endpoint, connections, bytesIn, bytesOut },
      sessions: backends.reduce((total, { sessions }) => total + sessions, 0),
      ...(denied === undefined ? {} : { denied }),
      ...(failed === undefined ? {} : { failed }),
    };
  });
