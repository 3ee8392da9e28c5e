import { expect, test } from 'vitest';
import {
  isUntold,
  reachedNow,
  reportEndpoints,
  reportUntold,
  servedNow,
} from '../../../agent/edge/edge-report.ts';
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

test('a worker that is on its way out serves nothing', () => {
  const http: PublishedEndpoint = {
    ...{ id: 'crm/web/http', addresses: ['192.0.2.1'], port: 80, protocol: 'http', proxyProtocol: false },
    backends: [],
  };
  const front = (status: string) => ({
    ...{ proxy: 'crm:web:http', name: 'FRONTEND', status, sessions: 1 },
    ...{ connections: 1, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 },
  });
  expect(servedNow([http], [[front('OPEN')]])).toEqual(new Set(['crm/web/http']));
  expect(servedNow([http], [[front('STOP')]])).toEqual(new Set());
});

test('an endpoint is reached by a backend that is up, and by one that drains and has connections', () => {
  const counted = { connections: 1, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 };
  const line = (name: string, status: string, sessions: number) => ({
    ...{ proxy: 'crm:web:http', name, status, sessions },
    ...counted,
  });
  const backend = (name: string, state: 'ready' | 'draining') => ({
    ...{ name, address: '10.0.0.1', port: 80, state },
  });
  const http: PublishedEndpoint = {
    ...{ id: 'crm/web/http', addresses: ['192.0.2.1'], port: 80, protocol: 'http', proxyProtocol: false },
    backends: [backend('web-0.1', 'ready'), backend('web-1.1', 'draining')],
  };
  const reached = (...lines: readonly ReturnType<typeof line>[]) => reachedNow([http], [lines]).size;
  expect(reached(line('web-0.1', 'UP', 0))).toBe(1);
  expect(reached(line('web-0.1', 'DOWN', 0), line('web-1.1', 'DRAIN', 0))).toBe(0);
  expect(reached(line('web-0.1', 'DOWN', 0), line('web-1.1', 'DRAIN', 1))).toBe(1);
});

test('while the load balancer runs and says nothing, endpoints are as they were told last, or fail, or are not known', () => {
  const endpoint = (name: string): PublishedEndpoint => ({
    ...{ id: `crm/web/${name}`, addresses: ['192.0.2.1'], port: 80, protocol: 'http', proxyProtocol: false },
    backends: [{ name: 'web-0.1', address: '10.0.0.1', port: 80, state: 'draining' }],
  });
  const counted = { connections: 1, bytesIn: 0, bytesOut: 0, denied: 0, failed: 0 };
  const lines = ['FRONTEND', 'web-0.1'].map((name) => ({
    ...{ proxy: 'crm:web:http', name, status: name === 'FRONTEND' ? 'OPEN' : 'DRAIN', sessions: 1 },
    ...counted,
  }));
  const totals = new EndpointTotals();
  const before = reportEndpoints([endpoint('http')], [lines], new Map(), totals);
  expect(before[0]?.backends).toEqual([{ name: 'web-0.1', state: 'draining', sessions: 1 }]);
  expect([isUntold([lines]), isUntold([[]]), isUntold([])]).toEqual([false, true, true]);
  const all = ['http', 'bad', 'new'].map(endpoint);
  const why = new Map([['crm/web/bad', 'port 80 is taken']]);
  expect(reportUntold(all, why, before, totals)).toEqual([
    before[0],
    expect.objectContaining({ id: 'crm/web/bad', state: 'failed', reason: 'port 80 is taken' }),
  ]);
});
