import { expect, test } from 'vitest';
import type { EdgeReport, Report } from '../../../agent/protocol/index.ts';
import { endpointRows, lateCertificates } from '../../../controller/api/endpoint-rows.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const HTTP = { type: 'input', protocol: 'http', port: 80, targetPort: 8080, from: [] } as const;
const application = anApplication('crm', { roles: { web: aRole({ endpoints: { http: HTTP } }) } });
const shared = { ...application, public: { address: '192.0.2.200', prefix: 24, routerId: 1 } };
const vms = [aVm({ state: 'ready', incarnation: 3 })];

const anEdge = (name: string, address: string, over: Partial<HostRecord> = {}): HostRecord => {
  const host = aHost(name, {}, over);
  if (!host.offer) throw new Error('it offers nothing');
  return { ...host, offer: { ...host.offer, edge: true, underlay: { address, mtu: 1_500, networks: [] } } };
};
const hosts = [anEdge('h1', '192.0.2.1'), anEdge('h2', '192.0.2.2'), aHost('h3')];

const link = (name: string, seen: Partial<EdgeReport['endpoints'][number]>, held: string[] = []) => ({
  name,
  connected: true,
  report: {
    edge: {
      endpoints: [
        {
          ...{ id: 'crm/web/http', state: 'served', connections: 2, bytesIn: 10, bytesOut: 20 },
          backends: [{ name: 'web-0.3', state: 'up', sessions: 1 }],
          ...seen,
        },
      ],
      held,
      missing: [],
    },
  } as unknown as Report,
});

test('an endpoint is served where every edge host says so, at the address that they share', () => {
  expect(endpointRows(shared, hosts, vms, [link('h1', {}), link('h2', {}, ['192.0.2.200'])])).toEqual([
    {
      ...{ id: 'crm/web/http', addresses: ['192.0.2.200'], port: 80, protocol: 'http' },
      ...{ state: 'served', host: 'h2', connections: 4, bytesIn: 20, bytesOut: 40 },
      backends: [{ name: 'web-0.3', address: vms[0]?.address, state: 'up', sessions: 2 }],
    },
  ]);
});

test('at a shared address an endpoint is served when the host that has the address serves it, whatever others do', () => {
  const failed = { state: 'failed', reason: 'certificate crm: /x/crm.pem is not there' } as const;
  const [row] = endpointRows(shared, hosts, vms, [link('h1', failed, ['192.0.2.200']), link('h2', {})]);
  expect(row).toMatchObject({ state: 'failed', host: 'h1', reason: `h1: ${failed.reason}` });
  const [elsewhere] = endpointRows(shared, hosts, vms, [link('h1', failed), link('h2', {}, ['192.0.2.200'])]);
  expect(elsewhere).toMatchObject({ state: 'served', host: 'h2', reason: `h1: ${failed.reason}` });
  const [nowhere] = endpointRows(shared, hosts, vms, [link('h1', {}), link('h2', {})]);
  expect(nowhere).toMatchObject({ state: 'failed', host: null, reason: 'no edge host has 192.0.2.200' });
});

test('an endpoint that is served with a certificate of before says so', () => {
  const https = { ...HTTP, certificate: 'shop' };
  const secure = anApplication('crm', { roles: { web: aRole({ endpoints: { http: https } }) } });
  const told = link('h1', {});
  const certificates = [{ name: 'shop', digest: 'sha256:0', problem: 'others may read it' }];
  const edge = { ...told.report.edge, certificates };
  const links = [{ ...told, report: { edge } as unknown as Report }, link('h2', {})];
  const [row] = endpointRows(secure, hosts, vms, links);
  expect(row).toMatchObject({ state: 'served', reason: 'h1: others may read it' });
});

test('an endpoint of a public machine is where that machine’s own address is', () => {
  const machine = aMachine({ public: true, endpoints: { web: HTTP } });
  const crm = {
    ...anApplication('crm', { roles: {}, machines: { db: machine } }),
    ...{ public: shared.public, publicMachines: { db: { address: '192.0.2.201', prefix: 24, routerId: 2 } } },
  };
  const links = [link('h1', {}, ['192.0.2.201']), link('h2', {}, ['192.0.2.200'])];
  expect(endpointRows(crm, hosts, [], links)).toMatchObject([
    { id: 'crm/db/web', addresses: ['192.0.2.201'], host: 'h1' },
  ]);
});

test('what a host cannot serve says why, and is served by the others', () => {
  const failed = { state: 'failed', reason: 'port 80 of 192.0.2.1 is taken on this host by nginx' } as const;
  const [row] = endpointRows(application, hosts, vms, [link('h1', failed), link('h2', {})]);
  expect(row).toMatchObject({
    state: 'served',
    reason: `h1: ${failed.reason}`,
    addresses: ['192.0.2.1', '192.0.2.2'],
  });
  const [none] = endpointRows(application, hosts, vms, [link('h1', failed)]);
  expect(none).toMatchObject({ state: 'failed', reason: `h1: ${failed.reason}; h2: not connected` });
});

test('one that is to have a public address, and has none, says so', () => {
  const at = (host: string) => link(host, {});
  const [row] = endpointRows(application, hosts, vms, [at('h1'), at('h2')], { hasPublic: true });
  expect(row).toMatchObject({ state: 'served', addresses: ['192.0.2.1', '192.0.2.2'] });
  expect(row?.reason).toMatch(/^it has no public address yet, and is given the first that is free/);
  const links = [at('h1'), link('h2', {}, ['192.0.2.200'])];
  expect(endpointRows(shared, hosts, vms, links, { hasPublic: true })[0]?.reason).toBeUndefined();
});

test('a reason that several hosts have is told once, and a host that is silent is not one that is off', () => {
  const failed = {
    state: 'failed',
    reason: 'certificate shop: neither the controller nor this host has it',
  } as const;
  const links = [link('h1', failed), link('h2', failed)];
  const [row] = endpointRows(application, hosts, vms, links);
  expect(row?.reason).toBe(`h1, h2: ${failed.reason}`);
  const silent = { name: 'h1', connected: true, report: null };
  const [none] = endpointRows(application, hosts, vms, [silent, { ...silent, name: 'h2', connected: false }]);
  expect(none?.reason).toBe('h1: it has not said so yet; h2: not connected');
});

test('what the host of the address cannot serve is not served, whoever else could', () => {
  const failed = {
    state: 'failed',
    reason: 'port 80 of 192.0.2.200 is taken on this host by nginx',
  } as const;
  const [held, free] = [link('h1', failed, ['192.0.2.200']), link('h2', {})];
  const [row] = endpointRows(shared, hosts, vms, [held, free]);
  expect(row).toMatchObject({ state: 'failed', host: 'h1', reason: `h1: ${failed.reason}` });
  const [other] = endpointRows(shared, hosts, vms, [link('h1', failed), link('h2', {}, ['192.0.2.200'])]);
  expect(other).toMatchObject({ state: 'served', host: 'h2', reason: `h1: ${failed.reason}` });
});

test('what an application published that is being deleted is told as that, and not as a fault', () => {
  const deleting = { ...shared, deleting: true };
  const reason = 'its application is being deleted';
  expect(endpointRows(deleting, hosts, vms, [])).toMatchObject([{ state: 'deleting', reason }]);
  const links = [link('h1', {}), link('h2', {}, ['192.0.2.200'])];
  expect(endpointRows(deleting, hosts, vms, links)).toMatchObject([{ state: 'deleting', reason }]);
});

test('totals do not fall because a host cannot serve an endpoint any more', () => {
  const failed = { state: 'failed', reason: 'it is taken' } as const;
  const [row] = endpointRows(application, hosts, vms, [link('h1', failed), link('h2', {})]);
  expect(row).toMatchObject({ connections: 4, bytesIn: 20, bytesOut: 40 });
});

test('without an edge host the endpoint says so', () => {
  const down = [anEdge('h1', '192.0.2.1', { state: 'down' }), aHost('h3')];
  expect(endpointRows(application, down, vms, [])).toMatchObject([
    { state: 'failed', reason: expect.stringContaining('no edge host is up'), addresses: [] },
  ]);
});

test('an endpoint whose certificate could not be obtained says why, and when it is tried again', () => {
  const https = { ...HTTP, certificate: 'shop', certificateNames: ['shop.example.org'] };
  const shop = anApplication('crm', { roles: { web: aRole({ endpoints: { http: https } }) } });
  const attempt = {
    ...{ failures: 1, failedAtMs: 0, nextAtMs: 300_000, names: ['shop.example.org'] },
    message: 'the authority does not answer',
  };
  const late = lateCertificates([{ name: 'shop', kept: null, attempt }], [shop], 0);
  const [row] = endpointRows(shop, hosts, vms, [link('h1', {}), link('h2', {})], { late });
  expect(row?.reason).toBe(
    'certificate shop could not be obtained (1 in a row): the authority does not answer; it is tried again at 1970-01-01 00:05:00 UTC',
  );
});
