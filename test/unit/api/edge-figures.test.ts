import { expect, test } from 'vitest';
import type { EdgeReport, Report } from '../../../agent/protocol/index.ts';
import { edgeFigures } from '../../../controller/api/edge-figures.ts';
import { edgesText } from '../../../controller/cli/counters-text.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { aHost } from '../../support/builders/host.ts';

function anEdge(name: string): HostRecord {
  const host = aHost(name);
  const underlay = { address: `192.0.2.${name.slice(1)}`, mtu: 1_500, networks: [] };
  return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay } };
}
const SEEN: EdgeReport['endpoints'][number] = {
  ...{ id: 'crm/web/http', state: 'served', connections: 7, bytesIn: 100, bytesOut: 2_000 },
  backends: [
    { name: 'web-0.1', state: 'up', sessions: 2 },
    { name: 'web-1.1', state: 'draining', sessions: 1 },
  ],
};
const link = (name: string, endpoints: EdgeReport['endpoints'], connected = true) => ({
  ...{ name, connected },
  report: { edge: { endpoints, held: [], missing: [] } } as unknown as Report,
});

test('each edge host tells for itself, what an older agent does not count is left out, and who says nothing is named', () => {
  const hosts = ['h1', 'h2', 'h3', 'h4'].map(anEdge);
  const figures = edgeFigures(
    'crm/web/http',
    [...hosts, aHost('h5')],
    [
      link('h1', [SEEN]),
      link('h2', [{ ...SEEN, denied: 3, failed: 1 }]),
      link('h3', [SEEN], false),
      link('h4', [{ ...SEEN, id: 'crm/web/other' }]),
      link('h5', [SEEN]),
    ],
  );
  const counted = { endpoint: 'crm/web/http', connections: 7, sessions: 3, bytesIn: 100, bytesOut: 2_000 };
  expect(figures).toEqual([
    { host: 'h1', ...counted },
    { host: 'h2', ...counted, denied: 3, failed: 1 },
    { host: 'h3', problem: 'not connected' },
    { host: 'h4', problem: 'it has not said so yet' },
  ]);
  expect(edgesText(figures).split('\n')).toEqual([
    '  load balancer on h1: 7 connections, 3 open to backends, 100 bytes in, 2000 bytes out',
    "  load balancer on h2: 7 connections, 3 open to backends, 100 bytes in, 2000 bytes out, 3 over a client's limit, 1 came to no backend",
    '  load balancer on h3: not known, not connected',
    '  load balancer on h4: not known, it has not said so yet',
    '',
  ]);
});
