import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import type { EdgeReport, Report } from '../../../agent/protocol/index.ts';
import type { ApiContext } from '../../../controller/api/context.ts';
import { measureEndpoints } from '../../../controller/api/endpoint-metrics.ts';
import { measureHostNetworks } from '../../../controller/api/host-network-metrics.ts';
import { hostRow } from '../../../controller/api/rows.ts';
import { createApi } from '../../../controller/api/server.ts';
import type { Fleet } from '../../../controller/fleet/contract.ts';
import { Tokens } from '../../../controller/fleet/tokens.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import { aHost } from '../../support/builders/host.ts';

function anEdge(name: string, last: number): HostRecord {
  const host = aHost(name);
  const underlay = { address: `192.0.2.${last}`, mtu: 1_500, networks: [] };
  return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay } };
}

const aReport = (endpoints: EdgeReport['endpoints']): Report => ({
  ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot', revisionSeen: 1 },
  ...{ vms: [], blobs: [], strangers: [], leaving: [], edge: { endpoints, held: [], missing: [] } },
});

const SERVED: EdgeReport['endpoints'][number] = {
  ...{ id: 'crm/web/http', state: 'served', connections: 7, bytesIn: 100, bytesOut: 2_000 },
  backends: [
    { name: 'web-0.1', state: 'up', sessions: 2 },
    { name: 'web-1.1', state: 'up', sessions: 1 },
    { name: 'web-2.1', state: 'draining', sessions: 4 },
  ],
};

async function figuresOf(...args: [readonly HostRecord[], Parameters<typeof measureEndpoints>[2]]) {
  const registry = new Registry();
  measureEndpoints(registry, ...args);
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('each edge host that is connected has figures of its own for each endpoint, and no other host has any', async () => {
  const hosts = [anEdge('h1', 1), anEdge('h2', 2), anEdge('h3', 3), aHost('h4')];
  const links = ['h1', 'h2', 'h3', 'h4'].map((name) => ({
    name,
    connected: name !== 'h3',
    report: aReport(name === 'h2' ? [{ ...SERVED, state: 'failed' }] : [SERVED]),
  }));
  const figures = await figuresOf(hosts, links);
  const of = (host: string) => `endpoint="crm/web/http",app="crm",host="${host}"`;
  expect(figures).toEqual(
    expect.arrayContaining([
      `weft_endpoint_served{${of('h1')}} 1`,
      `weft_endpoint_served{${of('h2')}} 0`,
      `weft_endpoint_sessions{${of('h1')}} 7`,
      `weft_endpoint_connections_total{${of('h1')}} 7`,
      `weft_endpoint_received_bytes_total{${of('h1')}} 100`,
      `weft_endpoint_sent_bytes_total{${of('h1')}} 2000`,
      `weft_endpoint_backends{${of('h1')},state="up"} 2`,
      `weft_endpoint_backends{${of('h1')},state="down"} 0`,
      `weft_endpoint_backends{${of('h1')},state="draining"} 1`,
    ]),
  );
  expect(figures.filter((line) => /host="h[34]"/.test(line))).toEqual([]);
});

test('there are no figures where nothing is published', async () => {
  expect(await figuresOf([anEdge('h1', 1)], [{ name: 'h1', connected: true, report: null }])).toEqual([]);
});

test('whoever has a token reads them as text, and nobody else does', async () => {
  const store = new MemoryStore();
  const tokens = new Tokens(store);
  await tokens.addApi('secret-1', 'ann', 0);
  const shop = { name: 'shop', kept: { notAfterMs: 86_400_500 } };
  await store.transact({
    puts: [
      { key: 'hosts/h1', value: anEdge('h1', 1) },
      { key: 'certificates/shop', value: shop },
    ],
  });
  const fleet = { hosts: () => [{ name: 'h1', connected: true, report: aReport([SERVED]) }] };
  const [clock, log] = [new VirtualClock(7_000), createLogger('api', 'silent')];
  const context = { version: '0', store, tokens, fleet, clock, log } as unknown as ApiContext;
  const api = await createApi(context, null);
  try {
    const ask = (headers: Record<string, string>) => api.inject({ method: 'GET', url: '/metrics', headers });
    expect((await ask({})).statusCode).toBe(401);
    for (const _again of [1, 2]) {
      const answer = await ask({ authorization: 'Bearer secret-1' });
      expect(answer.headers['content-type']).toContain('text/plain');
      expect(answer.body).toContain('# TYPE weft_endpoint_connections_total counter');
      expect(answer.body).toContain('host="h1"} 7');
      expect(answer.body).toContain('weft_certificate_not_after_seconds{certificate="shop"} 86400');
    }
  } finally {
    await api.close();
  }
});

test('hosts tell how full their tables of connections are, and an operator is told when one is nearly full', async () => {
  const link = (name: string, count: number, barred: string[] = []) => {
    const metrics = { cpuPercent: 1, memoryUsedMiB: 1, pools: [], agentRssMiB: 1 };
    return {
      ...{ name, connected: true, lastHeardMs: 1, hello: null, endedBecause: null },
      report: { ...aReport([]), metrics: { ...metrics, connections: { count, max: 1_000, barred } } },
    };
  };
  const links = [link('h1', 749), link('h2', 800, ['crm/web-0'])];
  const registry = new Registry();
  measureHostNetworks(registry, links);
  const figures = await registry.metrics();
  for (const line of [
    'weft_host_connections{host="h1"} 749',
    'weft_host_connections_limit{host="h2"} 1000',
    'weft_host_guests_barred{host="h1"} 0',
    'weft_host_guests_barred{host="h2"} 1',
  ])
    expect(figures).toContain(`${line}\n`);
  const notesOf = (name: string) =>
    hostRow(aHost(name), 0, { hosts: () => links } as unknown as Fleet).notes.filter((note) =>
      note.includes('table of connections'),
    );
  expect(notesOf('h1')).toEqual([]);
  expect(notesOf('h2')).toEqual([expect.stringMatching(/nearly full, 800 of 1000 .*: crm\/web-0$/)]);
});

test('what is wrong with its guests’ network is told of each host, by its row and in figures', async () => {
  const problem = 'guests whose image reads no seed get no IPv6: this host has no radvd';
  const link = (name: string, networkProblems?: string[]) => ({
    ...{ name, connected: true, lastHeardMs: 1, hello: null, endedBecause: null },
    report: { ...aReport([]), ...(networkProblems ? { networkProblems } : {}) },
  });
  const links = [link('h1', [problem]), link('h2')];
  const registry = new Registry();
  measureHostNetworks(registry, links);
  const figures = await registry.metrics();
  for (const line of ['{host="h1"} 1', '{host="h2"} 0'])
    expect(figures).toContain(`weft_host_network_problems${line}\n`);
  const rowOf = (name: string) => hostRow(aHost(name), 0, { hosts: () => links } as unknown as Fleet);
  expect(rowOf('h1').networkProblems).toEqual([problem]);
  expect(rowOf('h1').notes).toContain(problem);
  expect(rowOf('h2')).toMatchObject({ networkProblems: [] });
});
