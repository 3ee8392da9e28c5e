import { expect, test } from 'vitest';
import { reportEndpoints } from '../../../agent/edge/edge-report.ts';
import { EndpointTotals } from '../../../agent/edge/endpoint-totals.ts';
import { edgeReport, MOST_ENDPOINTS, type PublishedEndpoint } from '../../../agent/protocol/network.ts';

test('of more endpoints than a controller takes a report of, the first ones are told', () => {
  const endpoints = Array.from(
    { length: MOST_ENDPOINTS + 1 },
    (_, index): PublishedEndpoint => ({
      ...{ id: `crm/web/play/${index}`, addresses: ['192.0.2.1'], port: 10_000 + index, protocol: 'tcp' },
      ...{ proxyProtocol: false, backends: [] },
    }),
  );
  const told = reportEndpoints(endpoints, [], new Map(), new EndpointTotals());
  expect(told.at(-1)?.id).toBe(`crm/web/play/${MOST_ENDPOINTS - 1}`);
  expect(edgeReport.safeParse({ endpoints: told, held: [], missing: [] }).success).toBe(true);
});
