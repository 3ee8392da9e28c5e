import { describe, expect, test } from 'vitest';
import { guestAddress6 } from '../../../agent/kit/addressing.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { servedNow } from '../../../controller/network/served-now.ts';
import { networkView } from '../../../controller/network/view.ts';
import { whyOf } from '../../../controller/network/why.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const input = { type: 'input', protocol: 'http', port: 80, targetPort: 8080, from: [] } as const;
const perInstance = { type: 'instance', protocol: 'tcp', port: 9000, targetPort: 22, from: [] } as const;
const sql = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } as const;
const dns = { type: 'internal', protocol: 'udp', port: 53, targetPort: 53, from: [] } as const;

/** With a place on the backbone. */
function joined(name: string, number: number, isEdge = false): HostRecord {
  const host = aHost(name);
  const underlay = { address: `192.0.2.${number}`, mtu: 1_500, networks: [], own: [] };
  return {
    ...host,
    number,
    offer: host.offer && { ...host.offer, ...(isEdge ? { edge: true } : {}), underlay },
  };
}
const edge = joined('h1', 2, true);

const ssh = { type: 'input', protocol: 'tcp', port: 2222, targetPort: 22, from: [] } as const;

function aWorld(hosts: readonly HostRecord[] = [edge]) {
  const crm = anApplication('crm', {
    roles: {
      web: aRole({
        endpoints: { http: input, shell: perInstance },
        outbound: ['192.0.2.0/24', '2001:db8::/32'],
      }),
      db: aRole({ endpoints: { sql }, outbound: false, mesh: true }),
      job: aRole(),
    },
    machines: {
      files: aMachine({ endpoints: { dns } }),
      other: aMachine({ outbound: ['192.0.2.0/24', '198.51.100.0/24'] }),
      shut: aMachine({ outbound: false }),
    },
  });
  const network = (id: string, number: number) => ({
    ...{ id, number, cidr: `10.128.${(number - 1) * 4}.0/22`, gateway: `10.128.${(number - 1) * 4}.1` },
    addresses: {},
  });
  const machine = {
    role: null,
    index: null,
    kind: 'machine',
    networkId: 'crm/machines',
    host: 'h2',
  } as const;
  const vms = [
    aVm(),
    aVm({ id: 'crm/db-0', role: 'db', networkId: 'crm/db', address: '10.128.4.10', host: 'h3' }),
    aVm({ ...machine, id: 'crm/files', address: '10.128.8.10' }),
    aVm({ ...machine, id: 'crm/other', address: '10.128.8.11' }),
    aVm({ ...machine, id: 'crm/shut', address: '10.128.8.12' }),
    aVm({ ...machine, id: 'crm/past', address: '10.128.8.13' }),
    aVm({ id: 'shop/web-0', app: 'shop', networkId: 'shop/web', address: '10.128.12.10' }),
  ];
  const applications = [crm, anApplication('shop')];
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map(applications.map((each) => [each.name, each])),
    networks: new Map(
      [network('crm/web', 1), network('crm/db', 2), network('crm/machines', 3), network('shop/web', 4)].map(
        (each) => [each.id, each],
      ),
    ),
    hosts: new Map([joined('h2', 3), joined('h3', 4), ...hosts].map((each) => [each.name, each])),
    vms: new Map(vms.map((each) => [each.id, each])),
  };
}

const ask = (from: string, to: string, port: number, protocol: 'tcp' | 'udp' = 'tcp', world = aWorld()) =>
  whyOf({ from, to, port, protocol }, world);

describe('whether a connection passes', () => {
  test.each([
    ['crm/web-0', 'crm/db-0', 5432, 'tcp', 'crm/db/sql'],
    ['crm/web', 'crm/db', 5432, 'tcp', 'crm/db/sql'],
    ['crm/db-0', 'crm/db', 1, 'udp', 'crm/db'],
    ['crm/web-0', 'crm/files', 53, 'udp', 'crm/files/dns'],
    ['10.128.0.10', '10.128.4.10', 5432, 'tcp', 'crm/db/sql'],
    ['crm/web-0', guestAddress6(FLEET, 2, '10.128.4.0/22', '10.128.4.10'), 5432, 'tcp', 'crm/db/sql'],
    ['crm/other', 'crm/files', 53, 'udp', 'crm/files/dns'],
    ['world', 'crm/web', 80, 'tcp', 'crm/web/http'],
    ['world', 'crm/web-0', 9000, 'tcp', 'crm/web/shell'],
    ['crm/web-0', '192.0.2.7', 443, 'tcp', 'crm/web outbound'],
    ['crm/web-0', '2001:db8::7', 443, 'tcp', 'crm/web outbound'],
    ['crm/job', 'world', 443, 'tcp', 'crm/job outbound'],
    ['crm/files', '203.0.113.1', 443, 'tcp', 'crm/files outbound'],
    ['crm/other', '198.51.100.1', 443, 'tcp', 'crm/other outbound'],
    ['crm/machines', 'world', 443, 'tcp', 'crm/files outbound'],
  ] as const)('%s → %s:%d/%s does, by %s', (from, to, port, protocol, rule) => {
    expect(ask(from, to, port, protocol)).toMatchObject({ allowed: true, rule });
  });

  test.each([
    ['crm/job', 'crm/db-0', 5432, 'tcp', 'crm/db/sql lets in crm/web only'],
    [
      'crm/web-0',
      'crm/db-0',
      5432,
      'udp',
      'no endpoint of crm/db-0 is declared for udp 5432; crm/web may use tcp 5432',
    ],
    ['crm/web-0', 'crm/web', 8080, 'tcp', 'do not reach each other'],
    ['crm/web-0', 'crm/other', 53, 'udp', 'no endpoint of crm/other'],
    ['crm/files', 'crm/other', 53, 'udp', 'no endpoint of crm/other'],
    ['shop/web-0', 'crm/db-0', 5432, 'tcp', 'from one application to another: shop and crm'],
    ['world', 'crm/web', 8080, 'tcp', 'of crm/web tcp 80 (crm/web/http)'],
    ['world', 'crm/db', 5432, 'tcp', 'of crm/db nothing'],
    ['world', 'crm/web-0', 9001, 'tcp', 'tcp 9000 (crm/web/shell)'],
    ['crm/web-0', '198.51.100.1', 443, 'tcp', 'where 198.51.100.1 is not'],
    ['crm/db-0', 'world', 443, 'tcp', 'outbound of crm/db is false'],
    ['crm/shut', 'world', 443, 'tcp', 'outbound of crm/shut is false'],
    ['crm/other', '203.0.113.1', 443, 'tcp', 'where 203.0.113.1 is not'],
    ['crm/past', 'world', 443, 'tcp', 'crm/past is not declared any more, and nothing of it gets out'],
  ] as const)('%s → %s:%d/%s does not: %s', (from, to, port, protocol, reason) => {
    const answer = ask(from, to, port, protocol);
    expect(answer.allowed).toBe(false);
    expect(answer.reason).toContain(reason);
  });

  test('is decided on the hosts of both ends, and on edge hosts for the world', () => {
    expect(ask('crm/files', 'crm/db-0', 5432).hosts).toEqual(['h2', 'h3']);
    expect(ask('world', 'crm/files', 80).hosts).toEqual(['h1', 'h2']);
  });

  test.each([
    ['no host is an edge host', aHost('h1')],
    ['all of them are down', { ...edge, state: 'down' as const }],
  ])('what is published is served by nobody while %s', (_why, host) => {
    const answer = ask('world', 'crm/web', 80, 'tcp', aWorld([host]));
    expect(answer).toMatchObject({ allowed: false, rule: 'crm/web/http' });
    expect(answer.reason).toContain('no edge host is up');
  });

  test.each(['crm', 'crm/nothing', 'nothing/web', 'crm/web/http', '../etc'])('%s is no end', (end) => {
    expect(() => ask(end, 'crm/web', 80)).toThrow('there is no instance, machine, role or network');
  });
});

describe('what guests and the world are told of what is published', () => {
  test.each([
    ['crm/job', 'crm/web', 8080, 'crm/web/http lets in load balancers only'],
    [
      'crm/job',
      'crm/web',
      80,
      'port 80 is where load balancers publish crm/web/http, which guests do not reach',
    ],
    ['crm/job', 'crm/web-0', 9000, 'port 9000 is where load balancers publish crm/web/shell'],
  ] as const)('%s → %s:%d: %s', (from, to, port, reason) => {
    expect(ask(from, to, port)).toMatchObject({ allowed: false, reason: expect.stringContaining(reason) });
  });

  test('a machine that has its network to itself is told to be the only one there', () => {
    const world = aWorld();
    const found = world.applications.get('crm');
    if (!found) throw new TypeError('there is crm');
    const store = aMachine({ network: 'data', endpoints: { sql: { ...sql, from: ['web', 'data'] } } });
    const machines = { ...found.service.machines, store };
    world.applications.set('crm', { ...found, service: { ...found.service, machines } });
    const vm = aVm({ ...world.vms.get('crm/files'), id: 'crm/store', networkId: 'crm/data' });
    world.vms.set(vm.id, vm);
    expect(ask('crm/data', 'crm/store', 5432, 'tcp', world)).toMatchObject({
      allowed: false,
      reason: 'crm/store is the only machine on crm/data: nobody else is there to be let in',
    });
    world.vms.set('crm/more', { ...vm, id: 'crm/more', address: '10.128.12.99' });
    expect(ask('crm/data', 'crm/store', 5432, 'tcp', world).reason).not.toContain('only machine');
  });

  test('a network of machines is where the endpoints of all its machines are', () => {
    const { world } = withMachine();
    expect(ask('world', 'crm/machines', 2222, 'tcp', world)).toMatchObject({
      allowed: true,
      rule: 'crm/files/ssh',
    });
    expect(ask('world', 'crm/machines', 1, 'tcp', world).reason).toContain('tcp 2222 (crm/files/ssh)');
    expect(ask('world', 'crm/other', 2222, 'tcp', world).reason).toContain('of crm/other nothing');
  });

  test('a public address is what is published there', () => {
    const { world } = withMachine();
    const at = (port: number, protocol: 'tcp' | 'udp' = 'tcp') =>
      ask('world', '192.0.2.200', port, protocol, world);
    expect(at(80)).toMatchObject({ allowed: true, rule: 'crm/web/http', to: [{ id: 'crm/web-0' }] });
    expect(at(9000)).toMatchObject({ allowed: true, rule: 'crm/web/shell', to: [{ id: 'crm/web-0' }] });
    expect(at(2222)).toMatchObject({ allowed: true, rule: 'crm/files/ssh', to: [{ id: 'crm/files' }] });
    expect(at(9001)).toMatchObject({ allowed: false, rule: null });
    expect(at(80, 'udp').reason).toContain(
      'listen for tcp 80 (crm/web/http), tcp 9000 + index (crm/web/shell)',
    );
    expect(() => ask('world', '192.0.2.201', 80, 'tcp', world)).toThrow('both ends are outside');
    expect(ask('world', '192.0.2.2', 80)).toMatchObject({ allowed: true, rule: 'crm/web/http' });
    expect(() => ask('world', '192.0.2.2', 22)).toThrow('both ends are outside');
  });

  test('nobody comes to what is being deleted', () => {
    const { world, crm } = withMachine();
    world.applications.set('crm', { ...crm, deleting: true });
    expect(ask('world', 'crm/web', 80, 'tcp', world)).toMatchObject({
      ...{ allowed: false, rule: 'crm/web/http', reason: 'crm is being deleted' },
    });
    expect(networkView('crm', world)?.deleting).toBe(true);
  });

  test('how it is served at this moment is told of the backends that are asked for', () => {
    const answer = ask('world', 'crm/web-0', 80);
    const row = {
      ...{ id: 'crm/web/http', port: 80, state: 'served' },
      backends: [
        { name: 'web-0.3', state: 'down' },
        { name: 'web-1.1', state: 'up' },
      ],
    };
    expect(servedNow(answer, [row])).toBe('0 of 1 backends up');
    expect(servedNow(answer, [{ ...row, reason: 'h2: it is taken' }])).toBe(
      '0 of 1 backends up; h2: it is taken',
    );
    expect(servedNow(answer, [{ ...row, state: 'failed', reason: 'no certificate' }])).toBe(
      'not served: no certificate',
    );
    const own = { ...row, id: 'crm/web/shell/0', port: 9000, backends: [{ name: 'web-0.3', state: 'up' }] };
    expect(servedNow(ask('world', 'crm/web-0', 9000), [own])).toBe('1 of 1 backends up');
    expect(servedNow(ask('crm/web-0', 'crm/db-0', 5432), [row])).toBeNull();
    expect(servedNow({ ...answer, allowed: false }, [row])).toBeNull();
  });
});

/** crm at a public address, with a machine that publishes something. */
function withMachine() {
  const world = aWorld();
  const found = world.applications.get('crm');
  if (!found) throw new TypeError('there is crm');
  const machines = { ...found.service.machines, files: aMachine({ endpoints: { ssh } }) };
  const crm = {
    ...{ ...found, service: { ...found.service, machines } },
    public: { address: '192.0.2.200', prefix: 24, routerId: 1 },
  };
  world.applications.set('crm', crm);
  return { world, crm };
}

describe('an address of the world', () => {
  test('is none that only guests may have', () => {
    const [six, mapped] = [guestAddress6(FLEET, 2, '10.128.4.0/22', '10.128.4.99'), '[::ffff:10.128.200.1]'];
    for (const address of ['10.128.200.1', six, mapped])
      for (const [from, to] of [
        [address, 'crm/web'],
        ['world', address],
      ] as const)
        expect(() => ask(from, to, 80)).toThrow(/no guest has .*of the fleet's own range/);
  });

  test('is a guest’s where it is one of IPv4 that is written as one of IPv6', () => {
    expect(ask('crm/web-0', '[::ffff:10.128.4.10]', 5432)).toMatchObject({ rule: 'crm/db/sql' });
    expect(ask('crm/web-0', '::ffff:a80:40a', 5432)).toMatchObject({ to: [{ id: 'crm/db-0' }] });
  });

  test('is of no use where it is link-local', () => {
    for (const address of ['fe80::1', '169.254.1.1'])
      expect(ask(address, 'crm/web', 80)).toMatchObject({
        allowed: false,
        reason: expect.stringContaining('link-local'),
      });
  });

  test('is the way to a host’s own guests where it is that host’s', () => {
    expect(ask('192.0.2.2', 'crm/web-0', 22)).toMatchObject({
      ...{ allowed: true, rule: null, hosts: ['h1'] },
      reason: 'h1 is the host of crm/web-0, and reaches its own guests',
    });
    expect(ask('192.0.2.2', 'crm/db-0', 22)).toMatchObject({ allowed: false });
  });
});

test('what is not declared any more is an end for as long as there is something of it', () => {
  const world = aWorld();
  const found = world.applications.get('crm');
  if (!found) throw new TypeError('there is crm');
  world.applications.set('crm', {
    ...found,
    retired: { old: aRole({ endpoints: { http: { ...input, port: 81 } }, outbound: false }) },
  });
  expect(ask('world', 'crm/old', 81, 'tcp', world)).toMatchObject({ allowed: true, rule: 'crm/old/http' });
  expect(ask('crm/old', 'world', 81, 'tcp', world)).toMatchObject({ allowed: false });
});

test('a host that is down is none that serves', () => {
  const underlay = { address: '192.0.2.3', mtu: 1_500, networks: [], own: [] };
  const down = {
    ...edge,
    name: 'h2',
    state: 'down' as const,
    offer: edge.offer && { ...edge.offer, underlay },
  };
  const view = networkView('crm', aWorld([edge, down]));
  expect(view?.edgeHosts).toEqual(['h1']);
  expect(view?.published[0]?.addresses).toEqual(['192.0.2.2']);
});

test('a network has its subnets with their guests, and the names of its application alone', () => {
  const view = networkView('crm', aWorld());
  expect(view?.subnets.map(({ id, guests }) => [id, guests.map((guest) => guest.id)])).toEqual([
    ['crm/web', ['crm/web-0']],
    ['crm/db', ['crm/db-0']],
    ['crm/job', []],
    ['crm/machines', ['crm/files', 'crm/other', 'crm/past', 'crm/shut']],
  ]);
  expect(view?.names).toContainEqual({ name: 'files.crm.weft.internal', type: 'A', data: '10.128.8.10' });
  expect(view?.names.filter(({ name }) => name.includes('shop'))).toEqual([]);
  expect(networkView('nothing', aWorld())).toBeNull();
});

test('what of the world is reached is said of a subnet, or of each of its machines where they differ', () => {
  const world = aWorld();
  const machines = networkView('crm', world)?.subnets.at(-1);
  expect(machines?.outbound).toEqual([]);
  expect(machines?.guests.map(({ id, outbound }) => [id, outbound])).toEqual([
    ['crm/files', 'all'],
    ['crm/other', ['192.0.2.0/24', '198.51.100.0/24']],
    ['crm/past', []],
    ['crm/shut', []],
  ]);
  expect(ask('crm/machines', '198.51.100.1', 443).reason).toBe(
    'outbound of crm/files is all of the world, of crm/files, crm/other alone',
  );
  for (const id of ['crm/other', 'crm/past', 'crm/shut']) world.vms.delete(id);
  const crm = anApplication('crm', { roles: {}, machines: { files: aMachine() } });
  const alone = networkView('crm', { ...world, applications: new Map([['crm', crm]]) })?.subnets[0];
  expect([alone?.outbound, alone?.guests[0] && 'outbound' in alone.guests[0]]).toEqual(['all', false]);
});

describe('between a host and one that', () => {
  const there = joined('h3', 4);
  const offer = there.offer;
  const beside = (networks: string[], address = '192.0.2.4') =>
    offer && { ...offer, underlay: { address, mtu: 1_500, networks, own: [] } };
  test.each<[string, HostRecord, string]>([
    ['does not say where it is', aHost('h3'), 'its agent does not say where it is on the underlay'],
    ['has no number', { ...there, number: undefined } as never, 'the fleet has more hosts than places on it'],
    [
      'collides with the backbone',
      { ...there, offer: beside(['10.191.252.0/24']), collision: 'its network 10.191.252.0/24 overlaps' },
      'its network 10.191.252.0/24 overlaps',
    ],
  ])('%s nothing goes', (_what, host, problem) => {
    const world = aWorld([edge, host]);
    for (const [from, to] of [
      ['crm/web-0', 'crm/db-0'],
      ['crm/web', 'crm/db'],
    ] as const)
      expect(ask(from, to, 5432, 'tcp', world)).toMatchObject({
        ...{ allowed: false, rule: 'crm/db/sql' },
        reason: `h3 has no place on the backbone: ${problem}`,
      });
  });

  test('is at an address that another has, nothing goes', () => {
    const world = aWorld([
      edge,
      { ...there, offer: beside([], '192.0.2.3') },
      { ...joined('h2', 3), joinedAtMs: 9e12 },
    ]);
    expect(ask('crm/web-0', 'crm/db-0', 5432, 'tcp', world)).toMatchObject({
      allowed: false,
      reason: 'h1 sends nothing to h3: another host says that it is at 192.0.2.3 as well',
    });
  });

  test('is no edge host’s peer, nothing comes from the world', () => {
    const served = { ...edge, number: undefined } as never;
    expect(ask('world', 'crm/db-0', 80, 'tcp', aWorld([served])).allowed).toBe(false);
    const away = aWorld([edge, aHost('h2')]);
    const published = new Map(
      [...away.vms].map(([id, vm]) => [id, id === 'crm/web-0' ? { ...vm, host: 'h2' } : vm]),
    );
    expect(ask('world', 'crm/web', 80, 'tcp', { ...away, vms: published })).toMatchObject({
      ...{ allowed: false, rule: 'crm/web/http' },
      reason: 'h2 has no place on the backbone: its agent does not say where it is on the underlay',
    });
    // On the edge host itself it is reached without.
    expect(ask('world', 'crm/web', 80, 'tcp', aWorld([edge])).allowed).toBe(true);
  });
});
