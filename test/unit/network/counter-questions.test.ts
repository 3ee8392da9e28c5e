import { expect, test } from 'vitest';
import { COUNTS_EVERYWHERE, COUNTS_RULES } from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { counterQuestions } from '../../../controller/network/counter-questions.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const input = { type: 'input', protocol: 'http', port: 80, targetPort: 8080, from: [] } as const;
const sql = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } as const;

/** On the underlay, and so on the backbone under the same number. */
function aRouter(number: number, edge: boolean): HostRecord {
  const host = aHost(`h${number}`);
  const underlay = { address: `192.0.2.${number}`, mtu: 1_500, networks: [], own: [] };
  return { ...host, number, offer: host.offer && { ...host.offer, edge, underlay } };
}

/** Roles on three hosts, of which so many are edge hosts. */
function aWorld(edges = 1) {
  const crm = anApplication('crm', {
    roles: {
      web: aRole({ endpoints: { http: input }, instances: 3 }),
      db: aRole({ endpoints: { sql }, mesh: true, instances: 2 }),
    },
    machines: {
      files: aMachine({ endpoints: { ssh: { ...sql, port: 22, targetPort: 22, from: [] } } }),
      other: aMachine(),
    },
  });
  const network = (id: string, number: number) => ({
    ...{ id, number, cidr: `10.128.${(number - 1) * 4}.0/22`, gateway: `10.128.${(number - 1) * 4}.1` },
    addresses: {},
  });
  const machine = { role: null, index: null, kind: 'machine', networkId: 'crm/machines' } as const;
  const web = (index: number, host: string | null) =>
    aVm({ id: `crm/web-${index}`, index, address: host === null ? '' : `10.128.0.${10 + index}`, host });
  const db = (index: number, host: string) =>
    aVm({
      ...{ id: `crm/db-${index}`, index, role: 'db', networkId: 'crm/db', host },
      address: `10.128.4.${10 + index}`,
    });
  const vms = [
    ...[web(0, null), web(1, 'h2'), web(2, 'h3'), web(3, 'h2')],
    ...[db(0, 'h2'), db(1, 'h3')],
    aVm({ ...machine, id: 'crm/files', address: '10.128.8.10', host: 'h2' }),
    aVm({ ...machine, id: 'crm/other', address: '10.128.8.11', host: 'h2' }),
  ];
  const hosts = [1, 2, 3, 4, 5].map((number) => aRouter(number, number > 2 && number <= 2 + edges));
  const networks = [network('crm/web', 1), network('crm/db', 2), network('crm/machines', 3)];
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', crm]]),
    networks: new Map(networks.map((each) => [each.id, each])),
    hosts: new Map(hosts.map((each) => [each.name, each])),
    vms: new Map(vms.map((each) => [each.id, each])),
  };
}

const asked = (from: string, to: string, port: number, world = aWorld()) =>
  counterQuestions(whyOf({ from, to, port, protocol: 'tcp' }, world), world);
const hostsAsked = (...question: Parameters<typeof asked>) =>
  asked(...question).map(({ host, capability }) => [host, capability]);

test('routers of both ends are asked by the first guests that have a place, in both families', () => {
  const [one, ...others] = asked('crm/web', 'crm/db', 5432);
  expect(others).toEqual([]);
  expect(one).toMatchObject({ host: 'h2', vmId: 'crm/db-0', port: 5432, capability: COUNTS_RULES });
  expect(one?.pairs[0]).toEqual({ from: '10.128.0.11', to: '10.128.4.10' });
  expect(one?.pairs).toHaveLength(2);
  expect(hostsAsked('crm/web', 'crm/db-1', 5432)).toEqual([
    ['h2', COUNTS_RULES],
    ['h3', COUNTS_RULES],
  ]);
});

test('of a mesh both ends are asked about two guests, and of a role without one the sender’s host alone', () => {
  expect(hostsAsked('crm/db', 'crm/db', 9)).toEqual([
    ['h2', COUNTS_EVERYWHERE],
    ['h3', COUNTS_EVERYWHERE],
  ]);
  expect(asked('crm/db', 'crm/db', 9)[0]?.pairs[0]).toEqual({ from: '10.128.4.10', to: '10.128.4.11' });
  expect(hostsAsked('crm/web-1', 'crm/web-2', 80)).toEqual([['h2', COUNTS_EVERYWHERE]]);
  // Machines of one network are asked about as before: a router is between them.
  expect(hostsAsked('crm/other', 'crm/files', 22)).toEqual([['h2', COUNTS_RULES]]);
});

test('of an address of the world the guest’s host is asked, by the address of the same family', () => {
  expect(asked('crm/web', '203.0.113.7', 443)).toEqual([
    {
      ...{ host: 'h2', vmId: 'crm/web-1', port: 443, capability: COUNTS_EVERYWHERE },
      pairs: [{ from: '10.128.0.11', to: '203.0.113.7' }],
    },
  ]);
  const [six] = asked('crm/web-1', '2001:db8::7', 443);
  expect(six?.pairs).toEqual([{ from: expect.stringMatching(/^fd.*::b$/), to: '2001:db8::7' }]);
  expect(asked('crm/web-1', '::ffff:203.0.113.7', 443)[0]?.pairs[0]?.to).toBe('203.0.113.7');
});

test('of what is published each host with guests is asked, by the routers of other hosts’ load balancers', () => {
  const world = aWorld();
  const routers = asked('world', 'crm/web', 80, world);
  expect(routers).toEqual([
    {
      // Guests are reached at the port of their own.
      ...{ host: 'h2', vmId: 'crm/web-1', port: 8080, capability: COUNTS_RULES },
      pairs: [{ from: '10.191.252.3', to: '10.128.0.11' }],
    },
  ]);
  expect(asked('world', 'crm/web', 80, aWorld(3))).toMatchObject([
    { host: 'h2', capability: COUNTS_EVERYWHERE, pairs: [{}, {}, {}] },
    { host: 'h3', capability: COUNTS_RULES, pairs: [{}, {}] },
  ]);
});

test.each([
  ['world', 'crm/web', 81],
  ['world', 'crm/db', 5432],
  ['crm/web', 'world', 443],
  ['crm/web-0', '203.0.113.7', 443],
  ['crm/web-0', 'crm/db', 5432],
  ['crm/web-1', '10.140.0.1', 443],
  ['crm/web-1', 'crm/web-1', 80],
  ['192.0.2.2', 'crm/web-1', 22],
])('nobody is asked of %s → %s:%d: no rule counts that', (from, to, port) => {
  expect(asked(from, to, port)).toEqual([]);
});
