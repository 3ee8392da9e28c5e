import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkLocalOf } from '../../../agent/network/addresses.ts';
import { bridgeName, tableName, tapName } from '../../../agent/network/names.ts';
import type { RuleCounters } from '../../../agent/protocol/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  aGuest,
  DEVICE,
  DEVICE6,
  EDGE,
  FLEET,
  type Guest,
  gateway6Of,
  gatewayMacOf,
  gatewayOf,
  HOSTS,
  isDeclared,
  numberOfRole,
  partOf,
  routerOf,
  underlay6Of,
  underlayOf,
} from './fleet.ts';
import {
  advertisementOf,
  arpOf,
  frameOf,
  hexOf,
  ICMP,
  ip4Of,
  leaseOf,
  redirectOf,
  synOf,
  TCP,
  udp4Of,
  udpOf,
} from './frames.ts';
import { GATEWAY, GATEWAY6, Stage, TCP_PORTS } from './stage.ts';

const stage = new Stage();
const guests: readonly Guest[] = [
  aGuest('crm/web', 0, 'h1'),
  aGuest('crm/db', 0, 'h1'),
  aGuest('shop/web', 0, 'h1'),
  aGuest('shop/db', 0, 'h1'),
  aGuest('crm/web', 1, 'h2'),
  aGuest('crm/db', 1, 'h2'),
  aGuest('shop/db', 1, 'h2'),
  aGuest('shop/db', 2, 'h2'),
  aGuest('shop/web', 1, 'h3'),
  aGuest('crm/machines', 0, 'h1'),
  aGuest('crm/machines', 1, 'h1'),
  aGuest('crm/machines', 2, 'h2'),
];
/** Long enough for what is let through on a slow machine; what is not waits for the whole of it. */
const ANSWERS_S = 20;
const SILENCE_S = 1.5;

const guestOf = (id: string): Guest => {
  const found = guests.find((guest) => guest.id === id);
  if (!found) throw new Error(`there is no guest ${id}`);
  return found;
};
const apply = (where: readonly Guest[], hosts: readonly string[] = HOSTS) =>
  Promise.all(hosts.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, where) })));

type Target = readonly [address: string, port: number];
const reaches = async (from: string, targets: readonly Target[], limit: number) => {
  const worker = stage.guests.get(from) ?? stage.host(from).programs;
  const answers = await worker.ask<boolean[]>({ do: 'connect', targets, limit });
  return targets.map(
    ([address, port], index) => `${from} → ${address} ${port}: ${answers[index] ? 'yes' : 'no'}`,
  );
};
const said = (from: string, targets: readonly Target[], answer: 'yes' | 'no') =>
  targets.map(([address, port]) => `${from} → ${address} ${port}: ${answer}`);
const expectReached = async (from: string, targets: readonly Target[]) =>
  expect(await reaches(from, targets, ANSWERS_S)).toEqual(said(from, targets, 'yes'));
const expectUnreached = async (from: string, targets: readonly Target[]) =>
  expect(await reaches(from, targets, SILENCE_S)).toEqual(said(from, targets, 'no'));

/** Everyone tries everyone else, at each port, by both families. */
async function expectMatrix(among: readonly Guest[] = guests): Promise<void> {
  await Promise.all(
    among.map(async (from) => {
      const tries = among
        .filter((to) => to !== from)
        .flatMap((to) => TCP_PORTS.map((port) => ({ to, port, isDeclared: isDeclared(from, to, port) })));
      const targets = (wanted: boolean): Target[] =>
        tries
          .filter((each) => each.isDeclared === wanted)
          .flatMap(({ to, port }) => [[to.address, port] as const, [to.address6, port] as const]);
      await expectReached(from.id, targets(true));
      await expectUnreached(from.id, targets(false));
    }),
  );
}

/** A datagram to the log of crm/db, over a declared flow. */
const send = (from: string, to: Guest, text: string, options: Readonly<Record<string, unknown>> = {}) =>
  stage.guest(from).ask<boolean>({ do: 'datagram', host: to.address, port: 514, text, ...options });
const came = (to: string, part: string) => stage.guest(to).ask<number>({ do: 'came', part });
/** What was sent before this has come by then, if it comes at all: both went the same way. */
async function expectNothingCame(from: string, to: string, text: string): Promise<void> {
  await waitFor(
    `an honest datagram behind "${text}"`,
    async () => {
      await send(from, guestOf(to), `behind ${text}`);
      return came(to, `behind ${text}`);
    },
    (count) => count > 0,
    30_000,
  );
  expect(await stage.guest(to).ask({ do: 'came', part: `forged ${text}` })).toBe(0);
}

beforeAll(async () => {
  await stage.open();
  await stage.run('h1', ['nft', '-f', '-'], 'table inet theirs {\n chain c {\n counter\n }\n}\n');
  // Rules are there before guests are.
  await apply(guests);
  for (const guest of guests) await stage.addGuest(guest);
  await apply(guests);
});
afterAll(() => stage.close());

test('what is declared connects, on one host and across hosts, by IPv4 and IPv6, and nothing else does', () =>
  expectMatrix());

test('each router tells what it has let through of a flow, and what it has dropped', async () => {
  const [web, db] = [guestOf('crm/web-0'), guestOf('crm/db-1')];
  const pairs = [
    { from: web.address, to: db.address },
    { from: web.address6, to: db.address6 },
  ];
  const counted = (host: string, port: number, protocol = 'tcp') =>
    stage.host(host).router.ask<RuleCounters>({
      ...{ do: 'counters', fleet: FLEET, question: { pairs, protocol, port } },
    });
  const before = await Promise.all(['h1', 'h2'].map((host) => counted(host, 5432)));
  const [dropped] = await Promise.all([counted('h1', 5433), expectReached(web.id, [[db.address, 5432]])]);
  await expectReached(web.id, [[db.address6, 5432]]);
  await expectUnreached(web.id, [[db.address, 5433]]);
  for (const [index, host] of ['h1', 'h2'].entries()) {
    const after = await counted(host, 5432);
    expect(after).toMatchObject({ rule: 'pass', sinceMs: expect.any(Number) });
    // One by each family at least.
    expect(after.packets).toBeGreaterThanOrEqual((before[index]?.packets ?? 0) + 2);
    expect(after.bytes).toBeGreaterThan(before[index]?.bytes ?? 0);
  }
  expect(dropped.rule).toBe('drop');
  expect((await counted('h1', 5433)).packets).toBeGreaterThan(dropped.packets);
  // What was counted is no difference that has to be healed.
  expect(await stage.host('h1').router.ask({ do: 'heal' })).toBe(false);
  expect((await counted('h1', 5432)).sinceMs).toBe(before[0]?.sinceMs);
});

test('a load balancer reaches input endpoints from the host that is told to be its own, and from no other', async () => {
  const [near, far] = [guestOf('crm/web-0'), guestOf('crm/web-1')];
  await expectReached(
    'h3',
    [near, far].flatMap(({ address, address6 }) => [[address, 80] as const, [address6, 80] as const]),
  );
  await expectUnreached('h3', [
    [near.address, 22],
    [guestOf('crm/db-0').address, 5432],
  ]);
  await expectUnreached('h2', [
    [near.address, 80],
    [near.address6, 80],
  ]);
  // A host reaches its own guests, as its agent does.
  await expectReached('h1', [
    [near.address, 22],
    [near.address6, 22],
  ]);
});

test('a guest reaches no host, nothing on the underlay, and of the world what is allowed', async () => {
  const hosts = HOSTS.flatMap((host): Target[] => [
    [underlayOf(host), 22],
    [routerOf(host).address, 22],
    [routerOf(host).address6, 22],
  ]);
  for (const { id, role } of [guestOf('crm/web-0'), guestOf('shop/db-1')])
    await expectUnreached(id, [
      ...hosts,
      [gatewayOf(role), 22],
      [gateway6Of(role), 22],
      [GATEWAY, 22],
      ['2001:db8:1::1', 22],
      // That of the bridge on its own link, where the host's programs listen as well.
      [`${linkLocalOf(gatewayMacOf(role))}%eth0`, 22],
    ]);
  const own = `${linkLocalOf(gatewayMacOf('crm/web'))}%${bridgeName(FLEET, { number: numberOfRole('crm/web') })}`;
  await waitFor(
    'the host itself to be answered there',
    () => stage.host('h1').programs.ask<boolean[]>({ do: 'connect', targets: [[own, 22]], limit: 5 }),
    ([isAnswered]) => isAnswered === true,
    60_000,
  );
  const world: readonly Target[] = [
    ['203.0.113.1', 80],
    ['2001:db8:2::1', 80],
  ];
  const listed: readonly Target[] = [
    ['203.0.113.2', 80],
    ['2001:db8:2::2', 80],
  ];
  await expectReached('crm/web-0', [...world, ...listed]);
  await expectReached('crm/db-1', listed);
  await expectUnreached('crm/db-1', world);
  await expectUnreached('shop/web-0', [...world, ...listed]);
});

test('machines of one network reach what each of them is let out to, and of the network of the hosts what it names', async () => {
  const listed: readonly Target[] = [
    ['203.0.113.2', 80],
    ['2001:db8:2::2', 80],
  ];
  const others: readonly Target[] = [
    ['203.0.113.1', 80],
    ['2001:db8:2::1', 80],
  ];
  const beside: readonly Target[] = [
    [GATEWAY, 80],
    [GATEWAY6, 80],
  ];
  const closed: readonly Target[] = [
    [DEVICE, 80],
    [DEVICE6, 80],
    [underlayOf('h3'), 80],
    [underlay6Of('h1'), 80],
  ];
  await expectReached('crm/machines-0', [...listed, ...beside, ['203.0.113.1', 80]]);
  await expectUnreached('crm/machines-0', [['2001:db8:2::1', 80], ...closed]);
  await expectUnreached('crm/machines-1', [...listed, ...others, ...beside, ...closed]);
  await expectReached('crm/machines-2', [...listed, ...others]);
  await expectUnreached('crm/machines-2', [...beside, ...closed]);
});

test('of the network of the hosts a guest reaches what outbound names, and never hosts and devices', async () => {
  const named: readonly Target[] = [
    [GATEWAY, 80],
    [GATEWAY6, 80],
  ];
  await expectReached('crm/db-1', named);
  await expectReached('crm/db-0', named);
  await expectUnreached('crm/web-0', named);
  // What a host publishes of something behind it is the host's.
  const published = `table ip theirs {\n chain p {\n type nat hook prerouting priority dstnat;\n ip daddr ${underlayOf('h2')} tcp dport 8088 dnat to ${GATEWAY}:80\n }\n}\n`;
  await stage.run('h2', ['nft', '-f', '-'], published);
  await expectUnreached('crm/db-1', [
    [underlayOf('h2'), 8088],
    [DEVICE, 80],
    [DEVICE6, 80],
    ...HOSTS.flatMap((host): Target[] => [
      [underlayOf(host), 80],
      [underlay6Of(host), 80],
    ]),
  ]);
  await stage.run('h2', ['nft', 'delete', 'table', 'ip', 'theirs']);
});

test('where a bridge stops answering for machines of one network, the next look puts it right', async () => {
  const { router } = stage.host('h1');
  const other = guestOf('crm/machines-1');
  await stage.run('h1', ['ip', 'neigh', 'delete', 'proxy', other.address6, 'dev', 'wbf1ee-5']);
  await stage.run('h1', ['sysctl', '-q', '-w', 'net.ipv4.conf.wbf1ee-5.proxy_arp_pvlan=0']);
  expect(await router.ask({ do: 'heal' })).toBe(true);
  expect(await router.ask({ do: 'heal' })).toBe(false);
  await expectReached('crm/machines-0', [
    [other.address, 22],
    [other.address6, 22],
  ]);
});

test('a guest speaks under its own addresses only', async () => {
  const target = guestOf('crm/db-1');
  const other = guestOf('crm/web-1');
  await stage.run('crm/web-0', ['ip', 'address', 'add', `${other.address}/32`, 'dev', 'eth0']);
  await send('crm/web-0', target, 'forged address', { source: other.address });
  await expectNothingCame('crm/web-0', 'crm/db-1', 'address');
  await stage.run('crm/web-0', ['ip', 'address', 'delete', `${other.address}/32`, 'dev', 'eth0']);

  const [near, peer] = [guestOf('shop/db-1'), guestOf('shop/db-2')];
  await stage.guest(peer.id).ask({ do: 'sniff', device: 'eth0' });
  const marked = (from: string, text: string) =>
    frameOf(peer.mac, from, '0800', udp4Of(near.address, peer.address, udpOf(1000, 514, text)));
  const frame = (hex: string) => stage.guest(near.id).ask({ do: 'frame', device: 'eth0', hex });
  await frame(marked('52:54:00:00:00:66', 'forged hardware'));
  await frame(
    frameOf('ff:ff:ff:ff:ff:ff', near.mac, '0806', arpOf(near.mac, gatewayOf('shop/db'), peer.address)),
  );
  await frame(frameOf('33:33:00:00:00:01', near.mac, '86dd', advertisementOf(near.mac)));
  await frame(
    frameOf(peer.mac, near.mac, '0800', udp4Of(near.address, peer.address, udpOf(67, 68, 'forged lease'))),
  );
  await frame(marked(near.mac, 'honest frame'));
  const sniffed = (text: string) => stage.guest(peer.id).ask<number>({ do: 'came', part: text });
  await waitFor(
    'the honest frame',
    () => sniffed(hexOf('honest frame')),
    (count) => count > 0,
    30_000,
  );
  for (const forged of [hexOf('forged hardware'), hexOf('forged lease'), advertisementOf(near.mac)])
    expect(await sniffed(forged)).toBe(0);
  expect(await sniffed(arpOf(near.mac, gatewayOf('shop/db'), peer.address))).toBe(0);
});

/** 802.1D: no bridge passes it on, and each takes it for itself. */
const BRIDGE_GROUP = '01:80:c2:00:00:0e';

test('a guest reaches its host by no frame that a bridge takes for itself, and says by none where another is', async () => {
  const [near, neighbour] = [guestOf('crm/machines-0'), guestOf('crm/machines-1')];
  const { programs } = stage.host('h1');
  const frame = (hex: string) => stage.guest(near.id).ask({ do: 'frame', device: 'eth0', hex });
  // As of a guest that has come just now, and was not looked at.
  const [tap, mask] = [tapName(FLEET, near.address), ['type', 'bridge_slave', 'group_fwd_mask', '0']];
  await stage.run('h1', ['ip', 'link', 'set', 'dev', tap, ...mask]);
  const text = 'to the host itself';
  for (const source of [near.address, underlayOf('h2'), '203.0.113.2'])
    await frame(
      frameOf(BRIDGE_GROUP, near.mac, '0800', udp4Of(source, underlayOf('h1'), udpOf(4000, 514, text))),
    );
  await frame(frameOf(BRIDGE_GROUP, near.mac, '86dd', advertisementOf(near.mac)));
  const where = () =>
    stage.run('h1', ['bridge', 'fdb', 'get', neighbour.mac, 'br', 'wbf1ee-5']).catch(String);
  await expectReached(neighbour.id, [[gatewayOf('crm/machines'), 53]]).catch(() => undefined);
  await frame(frameOf(BRIDGE_GROUP, neighbour.mac, '88cc', '00'));
  await frame(frameOf(BRIDGE_GROUP, near.mac, '88cc', '00'));
  expect(await where()).not.toContain(tapName(FLEET, near.address));
  const counted = () => stage.run('h1', ['nft', 'list', 'chain', 'inet', tableName(FLEET), 'early-in']);
  await waitFor(
    'the frames to be dropped',
    counted,
    (rules) => Number(/"wtf1ee-\*" counter packets (\d+)/.exec(rules)?.[1]) >= 4,
    30_000,
  );
  expect(await programs.ask({ do: 'came', part: text })).toBe(0);
  expect(await stage.run('h1', ['ip', '-6', 'route', 'show', 'default'])).not.toContain('wtf1ee');
  expect(await stage.host('h1').router.ask({ do: 'heal' })).toBe(true);
});

test('a guest asks for no address, and refuses none, in the name of another', async () => {
  const [near, other] = [guestOf('crm/web-0'), guestOf('crm/db-0')];
  const { programs } = stage.host('h1');
  await programs.ask({ do: 'sniff', device: 'wbf1ee-1' });
  const ask = (mac: string, text: string) =>
    stage.guest(near.id).ask({
      ...{ do: 'frame', device: 'eth0' },
      hex: frameOf('ff:ff:ff:ff:ff:ff', near.mac, '0800', leaseOf(near.address, mac, text)),
    });
  await ask(other.mac, 'forged lease');
  await ask(near.mac, 'honest lease');
  const sniffed = (text: string) => programs.ask<number>({ do: 'came', part: hexOf(text) });
  await waitFor(
    'the honest question',
    () => sniffed('honest lease'),
    (count) => count > 0,
    30_000,
  );
  expect(await sniffed('forged lease')).toBe(0);
});

test('a connection ends when its flow is taken away, and all others live on', async () => {
  const [sql, http] = [guestOf('crm/db-1'), guestOf('crm/machines-2')];
  const ends = [sql.address, sql.address6].map((host) => ({ host, port: 5432 }));
  const others = [http.address, http.address6].map((host) => ({ host, port: 80 }));
  const ask = (work: string, end: { host: string; port: number }, more = {}) =>
    stage.guest('crm/web-1').ask({ do: work, ...end, limit: ANSWERS_S, ...more });
  for (const end of [...ends, ...others]) await ask('hold', end);
  for (const end of [...ends, ...others]) expect(await ask('exchange', end, { size: 100 })).toBe(true);
  const flows = (partOf('h1', guests).router?.flows ?? []).filter(({ id }) => id !== 'crm/db/sql');
  const cut = (host: string) =>
    stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests, flows) });
  await Promise.all(HOSTS.map(cut));
  await waitFor(
    'the connections to end',
    () => Promise.all(ends.map((end) => ask('exchange', end, { size: 1, limit: SILENCE_S }))),
    (answers) => !answers.includes(true),
    30_000,
  );
  for (const end of others) expect(await ask('exchange', end, { size: 100 })).toBe(true);
  // What is let through again goes on.
  await apply(guests);
  for (const end of ends) expect(await ask('exchange', end, { size: 1 })).toBe(true);
});

test('what begins is let through by a flow that is declared, also where a connection of the same ports is known', async () => {
  const [client, server] = [guestOf('crm/web-0'), guestOf('crm/db-1')];
  await stage.guest(client.id).ask({ do: 'hold', host: server.address, port: 5432, limit: ANSWERS_S });
  const sockets = await stage.run(client.id, ['ss', '-Htn', 'dst', `${server.address}:5432`]);
  const port = Number(/:(\d+)\s+\S+:5432/.exec(sockets)?.[1]);
  await stage.guest(server.id).ask({ do: 'sniff', device: 'eth0' });
  const begin = (text: string) => {
    const packet = ip4Of(TCP, client.address, server.address, synOf(client, server, port, 5432, text));
    const hex = frameOf(gatewayMacOf('crm/web'), client.mac, '0800', packet);
    return stage.guest(client.id).ask({ do: 'frame', device: 'eth0', hex });
  };
  const sniffed = (text: string) => stage.guest(server.id).ask<number>({ do: 'came', part: hexOf(text) });
  const without = (host: string) =>
    stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests, []) });
  await Promise.all(HOSTS.map(without));
  await begin('forged beginning');
  await apply(guests);
  await waitFor(
    'one that is declared',
    async () => {
      await begin('honest beginning');
      return sniffed('honest beginning');
    },
    (count) => count > 0,
    30_000,
  );
  expect(await sniffed('forged beginning')).toBe(0);
});

test('guests are told of no shorter way, by other guests or by their router', async () => {
  const [near, far] = [guestOf('crm/web-0'), guestOf('crm/db-1')];
  const text = 'on its way';
  await waitFor(
    'a connection',
    async () => {
      await send(near.id, far, text, { source_port: 3000 });
      return came(far.id, text);
    },
    (count) => count > 0,
    30_000,
  );
  await stage.guest(near.id).ask({ do: 'sniff', device: 'eth0' });
  const packet = udp4Of(near.address, far.address, udpOf(3000, 514, text));
  const answer = (payload: string) =>
    stage.guest(far.id).ask({
      ...{ do: 'frame', device: 'eth0' },
      hex: frameOf(gatewayMacOf('crm/db'), far.mac, '0800', payload),
    });
  await answer(ip4Of(ICMP, far.address, near.address, redirectOf(far.address, packet)));
  await answer(udp4Of(far.address, near.address, udpOf(514, 3000, 'honest answer')));
  const sniffed = (part: string) => stage.guest(near.id).ask<number>({ do: 'came', part });
  await waitFor(
    'the honest answer',
    () => sniffed(hexOf('honest answer')),
    (count) => count > 0,
    30_000,
  );
  expect(await sniffed(redirectOf(far.address, packet))).toBe(0);

  const [machine, neighbour] = [guestOf('crm/machines-0'), guestOf('crm/machines-1')];
  await expectReached(machine.id, [
    [neighbour.address, 22],
    [neighbour.address6, 22],
  ]);
  const counted = `${await stage.run(machine.id, ['cat', '/proc/net/snmp6'])}${await stage.run(machine.id, ['nstat', '-asz', 'IcmpInRedirects'])}`;
  expect(counted).toMatch(/Icmp6InRedirects\s+0\n/);
  expect(counted).toMatch(/IcmpInRedirects\s+0\s/);
});

test('what looks for addresses never crosses to another host', async () => {
  const rule = 'type filter hook prerouting priority -300; iifname "wv*" udp dport 67 counter name "far"';
  await stage.run(
    'h2',
    ['nft', '-f', '-'],
    `table bridge watch {\n counter far { }\n chain in {\n ${rule}\n }\n}\n`,
  );
  await stage
    .guest('shop/db-0')
    .ask({ do: 'datagram', host: '255.255.255.255', port: 67, text: 'discover', source_port: 68 });
  await expectReached('shop/db-0', [[guestOf('shop/db-1').address, 80]]);
  expect(await stage.run('h2', ['nft', 'list', 'counters', 'table', 'bridge', 'watch'])).toContain(
    'packets 0 ',
  );
  await stage.run('h2', ['nft', 'delete', 'table', 'bridge', 'watch']);
});

test('packets as large as guests are told pass whole, and connections live on while rules are written anew', async () => {
  const whole = { whole: true };
  const size = 1450 - 28;
  await waitFor(
    'a whole packet',
    async () => {
      await send('crm/web-0', guestOf('crm/db-1'), 'w'.repeat(size), whole);
      return came('crm/db-1', 'w'.repeat(size));
    },
    (count) => count > 0,
    30_000,
  );
  expect(await send('crm/web-0', guestOf('crm/db-1'), 'w'.repeat(size + 1), whole)).toBe(false);
  const held = [guestOf('crm/db-1').address, guestOf('crm/db-1').address6];
  const ask = (work: string, host: string, more = {}) =>
    stage.guest('crm/web-0').ask({ do: work, host, port: 5432, limit: ANSWERS_S, ...more });
  for (const host of held) await ask('hold', host);
  for (const host of held) expect(await ask('exchange', host, { size: 1_000_000 })).toBe(true);
  const changed = partOf('h1', guests, [
    ...(partOf('h1', guests).router?.flows ?? []),
    { id: 'new', from: ['crm/db'], to: 'shop/web', protocol: 'tcp', port: 80 },
  ]);
  await stage.host('h1').router.ask({ do: 'apply', part: changed });
  for (const host of held) expect(await ask('exchange', host, { size: 1_000 })).toBe(true);
  await apply(guests);
  for (const host of held) expect(await ask('exchange', host, { size: 1_000 })).toBe(true);
});

test('guests that were told more than a narrower host leaves are answered with what fits, and within a mesh go on as they were', async () => {
  const [told, left] = [1450, 1350];
  await Promise.all(
    HOSTS.map((host) => {
      const part = partOf(host, guests);
      if (!part.backbone) throw new TypeError('it has a backbone');
      const narrow = { ...part, backbone: { ...part.backbone, mtu: left } };
      return stage.host(host).router.ask({ do: 'apply', part: narrow });
    }),
  );
  expect(await stage.host('h1').router.ask({ do: 'heal' })).toBe(false);
  const whole = { whole: true };
  const arrives = (from: string, to: string, text: string) =>
    waitFor(
      `${text.length} bytes of ${from} at ${to}`,
      async () => {
        await send(from, guestOf(to), text, whole);
        return came(to, text);
      },
      (count) => count > 0,
      30_000,
    );
  // On one bridge, and over the VXLAN between two of them.
  for (const to of ['shop/db-2', 'shop/db-0']) await arrives('shop/db-1', to, 'm'.repeat(told - 28));
  await arrives('crm/web-1', 'crm/db-0', 'n'.repeat(left - 28));
  const larger = 'o'.repeat(left - 27);
  // It is told by the first one that is lost.
  await waitFor(
    'the guest to know what fits',
    () => send('crm/web-1', guestOf('crm/db-0'), larger, whole),
    (isSent) => !isSent,
    30_000,
  );
  expect(await came('crm/db-0', larger)).toBe(0);
  for (const [from, to, port] of [
    ['crm/web-1', 'crm/db-0', 5432],
    ['shop/db-1', 'shop/db-2', 80],
    ['shop/db-1', 'shop/db-0', 80],
  ] as const)
    for (const host of [guestOf(to).address, guestOf(to).address6]) {
      const ask = (work: string, more = {}) =>
        stage.guest(from).ask({ do: work, host, port, limit: ANSWERS_S, ...more });
      await ask('hold');
      expect(await ask('exchange', { size: 300_000 })).toBe(true);
    }
  await apply(guests);
});

test('a guest that lives elsewhere by now is cut off as soon as the goals of others say so', async () => {
  const old = guestOf('crm/web-1');
  await waitFor(
    'the old one to be heard',
    async () => {
      await send(old.id, guestOf('crm/db-0'), 'while it lived');
      return came('crm/db-0', 'while it lived');
    },
    (count) => count > 0,
    30_000,
  );
  const moved = guests.map((guest) => (guest === old ? { ...guest, host: 'h3' } : guest));
  await apply(moved, ['h1', 'h3']);
  const next = await stage.addGuest({ ...old, host: 'h3' }, '-new');
  await apply(moved, ['h3']);
  await send(old.id, guestOf('crm/db-0'), 'forged life');
  await waitFor(
    'its successor to be heard',
    async () => {
      await next.ask({ do: 'datagram', host: guestOf('crm/db-0').address, port: 514, text: 'the successor' });
      return came('crm/db-0', 'the successor');
    },
    (count) => count > 0,
    30_000,
  );
  await send(old.id, guestOf('crm/db-0'), 'forged life');
  await expectNothingCame('crm/web-0', 'crm/db-0', 'life');
  await apply(guests);
});

const table = tableName(FLEET);
const tapOf = (id: string) => tapName(FLEET, guestOf(id).address);
const device = 'wxf1ee';
test.each([
  ['all rules are flushed', ['nft', 'flush', 'ruleset']],
  ['a table is deleted', ['nft', 'delete', 'table', 'bridge', table]],
  ['a chain is emptied', ['nft', 'flush', 'chain', 'inet', table, 'flows']],
  ['the backbone is deleted', ['ip', 'link', 'delete', device]],
  ['the end of the guests’ range is deleted', ['ip', 'route', 'flush', 'type', 'unreachable']],
  ['its routes are deleted', ['ip', 'route', 'flush', 'dev', device, 'via', routerOf('h2').address]],
  ['its address is deleted', ['ip', 'address', 'flush', 'dev', device]],
  ['its neighbours are deleted', ['ip', 'neigh', 'flush', 'dev', device, 'nud', 'permanent']],
  [
    'the way to a host is deleted',
    ['bridge', 'fdb', 'delete', routerOf('h2').mac, 'dev', device, 'dst', underlayOf('h2')],
  ],
  ['the VXLAN of a mesh is deleted', ['ip', 'link', 'delete', 'wvf1ee-4']],
  ['a VXLAN is taken off its bridge', ['ip', 'link', 'set', 'wvf1ee-4', 'nomaster']],
  [
    'a gateway loses its address',
    ['ip', 'address', 'flush', 'dev', 'wbf1ee-1', 'scope', 'global', 'to', gateway6Of('crm/web')],
  ],
  [
    'a gateway loses its IPv4 address',
    ['ip', 'address', 'flush', 'dev', 'wbf1ee-1', 'scope', 'global', 'to', gatewayOf('crm/web')],
  ],
  ['a bridge is switched off', ['ip', 'link', 'set', 'wbf1ee-1', 'down']],
  ['the bridge of a mesh is switched off', ['ip', 'link', 'set', 'wbf1ee-4', 'down']],
  ['a guest is taken off its bridge', ['ip', 'link', 'set', tapOf('crm/web-0'), 'nomaster']],
  ['the interface of a guest is switched off', ['ip', 'link', 'set', tapOf('shop/db-0'), 'down']],
])('%s, and the next look puts it right', async (_what, command) => {
  if (command.includes('flush') && command.includes('ruleset'))
    expect(await stage.run('h1', ['nft', 'list', 'table', 'inet', 'theirs'])).toContain('chain c');
  await stage.run('h1', command);
  const { router } = stage.host('h1');
  expect(await router.ask({ do: 'heal' })).toBe(true);
  expect(await router.ask({ do: 'heal' })).toBe(false);
  await expectReached('crm/web-0', [
    [guestOf('crm/db-1').address, 5432],
    [guestOf('crm/db-1').address6, 5432],
  ]);
  await expectReached('shop/db-0', [
    [guestOf('shop/db-1').address, 80],
    [guestOf('shop/db-1').address6, 80],
  ]);
  await expectUnreached('crm/web-0', [
    [guestOf('crm/db-1').address, 80],
    [guestOf('crm/db-0').address6, 22],
  ]);
});

test('what is for a guest that nobody knows does not leave by the host’s gateway, and its sender hears so', async () => {
  for (const host of ['h1', EDGE])
    for (const address of ['10.140.0.5', 'fd12:3456:789a:99::5']) {
      const way = stage.run(host, ['ip', 'route', 'get', address]);
      await expect(way).rejects.toThrow(/unreachable|No route to host/i);
    }
  expect(await stage.run('h1', ['ip', 'route', 'get', '203.0.113.1'])).toContain(`via ${GATEWAY}`);
  expect(await stage.run('h1', ['ip', 'route', 'get', guestOf('crm/db-1').address])).toContain(device);
});

test('a host that watches its kernel puts things right by itself', async () => {
  await stage.host('h1').router.ask({ do: 'watch' });
  for (const [what, command] of [
    ['the rules', ['nft', 'flush', 'ruleset']],
    ['the backbone', ['ip', 'link', 'delete', device]],
  ] as const) {
    await stage.run('h1', command);
    await waitFor(
      what,
      async () =>
        [await stage.run('h1', ['nft', 'list', 'tables']), await stage.run('h1', ['ip', 'link'])].join(),
      (text) => text.includes(`inet ${table}`) && text.includes(`bridge ${table}`) && text.includes(device),
      60_000,
    );
  }
  await expectReached('crm/web-0', [[guestOf('crm/db-1').address, 5432]]);
});

test('a host that loses its place on the backbone judges its own guests as before, and reaches no other host', async () => {
  const { router } = stage.host('h1');
  const { backbone, router: rules, ...rest } = partOf('h1', guests);
  if (!backbone || !rules) throw new TypeError('it has both');
  const { range, range6, outOfReach = [] } = backbone;
  await router.ask({
    ...{ do: 'apply' },
    part: { ...rest, router: { ...rules, routes: [], closed: { range, range6, outOfReach } } },
  });
  expect(await stage.run('h1', ['ip', 'link'])).not.toContain(device);
  expect(await router.ask({ do: 'heal' })).toBe(false);
  await expectMatrix(guests.filter(({ host }) => host === 'h1'));
  await expectUnreached('shop/web-0', [
    [guestOf('crm/db-0').address, 22],
    [gatewayOf('shop/web'), 22],
    [underlayOf('h1'), 22],
    [DEVICE, 22],
  ]);
  await expectUnreached('crm/web-0', [[guestOf('crm/db-1').address, 5432]]);
  await expectReached('crm/web-0', [['203.0.113.1', 80]]);
  await apply(guests);
  await expectMatrix();
});

test('a host of an older controller has its older table alone, and goes on with whole ones afterwards', async () => {
  const { router } = stage.host('h3');
  const { networks } = partOf('h3', guests);
  await router.ask({ do: 'apply', part: { fleet: FLEET, networks } });
  expect((await stage.run('h3', ['nft', 'list', 'tables'])).trim()).toBe(`table ip ${table}`);
  expect(await stage.run('h3', ['ip', 'link'])).not.toContain(device);
  await apply(guests);
  await expectMatrix();
});

test('to guests that no goal knows any more everything is closed, and where none are left there are no tables', async () => {
  const { router } = stage.host('h3');
  const stray = guestOf('shop/web-1');
  await router.ask({ do: 'apply', part: { fleet: FLEET, networks: [] } });
  await expectUnreached(stray.id, [
    [gatewayOf('shop/web'), 22],
    [underlayOf('h3'), 22],
    [underlay6Of('h3'), 22],
    [GATEWAY, 22],
    [guestOf('shop/db-1').address, 9000],
  ]);
  for (const family of ['-4', '-6'])
    expect(await stage.run('h3', ['ip', family, 'route'])).not.toMatch(/^unreachable 10|^unreachable fd/m);
  const links = await stage.run('h3', ['ip', '-o', 'link']);
  for (const [, name = ''] of links.matchAll(/^\d+: (wtf1ee-[^:@]+)/gm))
    await stage.run('h3', ['ip', 'link', 'delete', name]);
  expect(await router.ask({ do: 'heal' })).toBe(true);
  expect((await stage.run('h3', ['nft', 'list', 'tables'])).trim()).toBe('');
});
