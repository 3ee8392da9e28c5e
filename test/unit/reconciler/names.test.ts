import { describe, expect, test } from 'vitest';
import type { HostRecord, VmRecord } from '../../../controller/model/index.ts';
import { namesGoalOf, namesPart, resolverOf } from '../../../controller/reconciler/names-goals.ts';
import type { NetworkWorld } from '../../../controller/reconciler/network-world.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const http = { type: 'input', protocol: 'http', port: 80, targetPort: 8080, from: [] } as const;
const sql = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } as const;

function anEdge(name: string, number: number, overrides: Partial<HostRecord> = {}, labels = {}): HostRecord {
  const host = aHost(name, {}, { number });
  const underlay = { address: `192.0.2.${number}`, mtu: 1500, networks: [] };
  return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay, labels }, ...overrides };
}

const byKey = <T>(items: readonly T[], key: (item: T) => string) =>
  new Map(items.map((item) => [key(item), item]));

function aWorld(vms: readonly VmRecord[], hosts: readonly HostRecord[] = [anEdge('h1', 2)]): NetworkWorld {
  const application = anApplication('crm', {
    roles: { web: aRole({ endpoints: { http } }), db: aRole({ endpoints: { sql } }) },
    machines: { files: aMachine() },
  });
  const network = (id: string, number: number) => ({
    ...{ id, number, cidr: `10.128.${(number - 1) * 4}.0/22`, gateway: `10.128.${(number - 1) * 4}.1` },
    addresses: {},
  });
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: byKey([application], ({ name }) => name),
    networks: byKey(
      [network('crm/web', 1), network('crm/db', 2), network('crm/machines', 3)],
      ({ id }) => id,
    ),
    hosts: byKey(hosts, ({ name }) => name),
    vms: byKey(vms, ({ id }) => id),
  };
}

const aDb = (overrides: Partial<VmRecord> = {}) =>
  aVm({ id: 'crm/db-0', role: 'db', networkId: 'crm/db', address: '10.128.4.10', ...overrides });
const recordsOf = (world: NetworkWorld, host = 'h1') =>
  (namesGoalOf(host, world)?.records ?? []).map(({ name, type, data }) => `${name} ${type} ${data}`);

describe('the zone', () => {
  test('names the application, each instance, the ready ones of a role, and what an internal endpoint is served by', () => {
    const world = aWorld([
      aVm(),
      aDb(),
      aDb({ id: 'crm/db-1', index: 1, address: '10.128.4.11', state: 'unready' }),
    ]);
    expect(recordsOf(world)).toEqual([
      '_sql._tcp.db.crm SRV 0 10 5432 db-0.db.crm',
      'crm A 192.0.2.2',
      'db-0.db.crm A 10.128.4.10',
      'db-0.db.crm AAAA fd5e:ed00:0:2::a',
      'db-1.db.crm A 10.128.4.11',
      'db-1.db.crm AAAA fd5e:ed00:0:2::b',
      'db.crm A 10.128.4.10',
      'db.crm AAAA fd5e:ed00:0:2::a',
      'web-0.web.crm A 10.128.0.10',
      'web-0.web.crm AAAA fd5e:ed00:0:1::a',
      'web.crm A 10.128.0.10',
      'web.crm AAAA fd5e:ed00:0:1::a',
    ]);
  });

  test('has of many instances of a role 64 addresses, and says of up to 200 where they serve', () => {
    const many = Array.from({ length: 210 }, (_none, index) =>
      aDb({ id: `crm/db-${index}`, index, address: `10.128.4.${index + 10}` }),
    );
    const records = recordsOf(aWorld(many));
    const count = (start: string) => records.filter((record) => record.startsWith(start)).length;
    expect(['db.crm A ', '_sql._tcp.db.crm SRV ', 'db-209.db.crm A '].map(count)).toEqual([64, 200, 1]);
  });

  test('has a machine directly under its application', () => {
    const files = { id: 'crm/files', role: null, index: null, kind: 'machine' } as const;
    const world = aWorld([aVm({ ...files, networkId: 'crm/machines', address: '10.128.8.10' })]);
    expect(recordsOf(world)).toContain('files.crm A 10.128.8.10');
  });

  test('says where an internal endpoint of a machine answers, while the machine is ready', () => {
    const files = { id: 'crm/files', role: null, index: null, kind: 'machine' } as const;
    const at = { networkId: 'crm/machines', address: '10.128.8.10' };
    const sql = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: [] } as const;
    const service = (state: VmRecord['state']) => {
      const world = aWorld([aVm({ ...files, ...at, state })]);
      const crm = anApplication('crm', { machines: { files: aMachine({ endpoints: { sql } }) } });
      return recordsOf({ ...world, applications: byKey([crm], ({ name }) => name) });
    };
    expect(service('ready')).toContain('_sql._tcp.files.crm SRV 0 10 5432 files.crm');
    expect(service('unready').join()).not.toContain('SRV');
  });

  test('has nothing of what is on its way out, or has no place', () => {
    expect(recordsOf(aWorld([aVm({ deleting: true }), aDb({ host: null })]))).toEqual(['crm A 192.0.2.2']);
  });

  test('is the same object for as long as what it is made from is, on all hosts that serve it', () => {
    const world = aWorld([aVm()], [anEdge('h1', 2), anEdge('h2', 3)]);
    expect(namesGoalOf('h1', world)?.records).toEqual(namesGoalOf('h2', world)?.records);
  });

  test('is served by hosts that can, and only by chosen ones where some are chosen', () => {
    const world = aWorld([aVm()], [anEdge('h1', 2), anEdge('h2', 3, {}, { edge: 'true' }), aHost('h3')]);
    expect(['h1', 'h2', 'h3'].map((host) => namesGoalOf(host, world) !== undefined)).toEqual([
      false,
      true,
      false,
    ]);
  });

  test('names no edge host that is emptied as where an application is, as long as another one is there', () => {
    const emptied = anEdge('h1', 2, { draining: true });
    const namedOf = (hosts: readonly HostRecord[]) =>
      recordsOf(aWorld([], hosts)).filter((record) => record.startsWith('crm A'));
    expect(namedOf([emptied, anEdge('h2', 3)])).toEqual(['crm A 192.0.2.3']);
    expect(namedOf([emptied])).toEqual(['crm A 192.0.2.2']);
  });

  test('names an application by the address that its edge hosts share, where it has one', () => {
    const world = aWorld([aVm()], [anEdge('h1', 2), anEdge('h2', 3)]);
    const crm = world.applications.get('crm');
    if (!crm) throw new TypeError('it is there');
    const shared = { ...crm, public: { address: '192.0.2.200', prefix: 24, routerId: 7 } };
    expect(recordsOf(world)).toEqual(expect.arrayContaining(['crm A 192.0.2.2', 'crm A 192.0.2.3']));
    const records = recordsOf({ ...world, applications: byKey([shared], ({ name }) => name) });
    expect(records.filter((record) => record.startsWith('crm A'))).toEqual(['crm A 192.0.2.200']);
  });
});

test('a public machine has a name for the world beside its own, and addresses of both families have both types', () => {
  const world = aWorld([aVm()]);
  const ssh = { type: 'input', protocol: 'tcp', port: 22, targetPort: 22, from: [] } as const;
  const machines = { files: aMachine({ public: true, endpoints: { ssh } }) };
  const address6 = { address: '2001:db8::201', prefix: 64 };
  const crm = anApplication(
    'crm',
    { roles: {}, machines },
    { publicMachines: { files: { address: '192.0.2.201', prefix: 24, routerId: 2, address6 } } },
  );
  const records = recordsOf({ ...world, vms: new Map(), applications: byKey([crm], ({ name }) => name) });
  expect(records).toEqual(['public.files.crm A 192.0.2.201', 'public.files.crm AAAA 2001:db8::201']);
});

describe('whom guests ask', () => {
  test('first their own host where it serves names, and last those that are away', () => {
    const world = aWorld([], [anEdge('h1', 2, { state: 'down' }), anEdge('h2', 3), anEdge('h3', 4)]);
    expect(resolverOf('h3', world)?.servers).toEqual(['10.191.252.4', '10.191.252.3', '10.191.252.2']);
    expect(resolverOf('h1', world)?.servers).toEqual(['10.191.252.3', '10.191.252.4', '10.191.252.2']);
  });

  test('one that is emptied behind others, its own guests too, as long as another one is there', () => {
    const emptied = anEdge('h1', 2, { draining: true });
    const world = aWorld([], [emptied, anEdge('h2', 3)]);
    for (const host of ['h1', 'h2'])
      expect(resolverOf(host, world)?.servers).toEqual(['10.191.252.3', '10.191.252.2']);
    expect(namesGoalOf('h1', aWorld([aVm()], [emptied, anEdge('h2', 3)]))).toBeDefined();
    for (const other of [anEdge('h2', 3, { state: 'down' }), anEdge('h2', 3, { draining: true })])
      expect(resolverOf('h1', aWorld([], [emptied, other]))?.servers[0]).toBe('10.191.252.2');
  });

  test('those whose name server does not answer only behind others, their own host too', () => {
    const world = aWorld(
      [],
      [anEdge('h1', 2, { nameServer: 'failed' }), anEdge('h2', 3), anEdge('h3', 4, { state: 'down' })],
    );
    for (const host of ['h1', 'h2'])
      expect(resolverOf(host, world)?.servers).toEqual(['10.191.252.3', '10.191.252.2', '10.191.252.4']);
  });

  test('none that lacks the programs for it, unless there is no other', () => {
    const absent = anEdge('h1', 2, { nameServer: 'absent' });
    expect(resolverOf('h1', aWorld([], [absent, anEdge('h2', 3)]))?.servers).toEqual(['10.191.252.3']);
    expect(resolverOf('h1', aWorld([], [absent]))?.servers).toEqual(['10.191.252.2']);
  });

  test('and all hosts are told anew when that changes of one', () => {
    const [well, failed] = [anEdge('h1', 2), anEdge('h1', 2, { nameServer: 'failed' })];
    expect(namesPart(failed)).not.toEqual(namesPart(well));
    expect(namesPart({ ...well, nameServer: null })).toEqual(namesPart(well));
  });

  test('nobody, but with the zone, while no host can serve it', () => {
    expect(resolverOf('h1', aWorld([], [aHost('h1')]))).toEqual({ zone: 'weft.internal', servers: [] });
  });
});
