import { afterAll, beforeAll, expect, test } from 'vitest';
import { hexOf6, linkLocalOf } from '../../../agent/network/addresses.ts';
import { hexOf4, tapName } from '../../../agent/network/names.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, type Guest, gatewayOf, partOf, routerOf, underlayOf } from './fleet.ts';
import { arpOf, frameOf, ICMP6, icmp6Of, ip6Of, UDP, udp4Of, udpOf } from './frames.ts';
import { Stage } from './stage.ts';

const stage = new Stage();
const near = aGuest('shop/db', 0, 'h1');
const far = aGuest('shop/db', 1, 'h2');
const neighbour = aGuest('shop/db', 2, 'h1');
/** It reaches the mesh by an endpoint, so by the backbone. */
const visitor = aGuest('shop/web', 0, 'h1');
const guests: readonly Guest[] = [near, far, neighbour, visitor];
/** Of the mesh's subnet, and of no guest. */
const nobody = aGuest('shop/db', 200, '');
const HERE = ['h1', 'h2'];
const [MESH, BACKBONE] = ['wvf1ee-4', 'wxf1ee'];
const ANSWERS_S = 20;

const EVERYBODY = 'ff:ff:ff:ff:ff:ff';
const groupMac = (address6: string) =>
  `33:33${hexOf6(address6)
    .slice(-8)
    .replaceAll(/../g, (byte) => `:${byte}`)}`;
/** The group of those that may have an address (RFC 4291, 2.7.1). */
const solicitedOf = (address6: string) =>
  `ff02::1:ff${hexOf6(address6).slice(-6, -4)}:${hexOf6(address6).slice(-4)}`;
const solicitationOf = ({ address6 }: Guest) => {
  const [from, group] = [linkLocalOf(near.mac), solicitedOf(address6)];
  const body = `00000000${hexOf6(address6).slice(2)}0101${near.mac.replaceAll(':', '')}`;
  return frameOf(
    groupMac(group),
    near.mac,
    '86dd',
    ip6Of(ICMP6, from, group, icmp6Of(135, from, group, body), 255),
  );
};
const questionFor = (address: string) =>
  frameOf(EVERYBODY, near.mac, '0806', arpOf(near.mac, near.address, address));
const datagramTo = (mac: string, address: string, port: number) =>
  frameOf(mac, near.mac, '0800', udp4Of(near.address, address, udpOf(4000, port, 'to all')));

interface Kind {
  readonly frame: string;
  /** What of nftables picks such frames out. */
  readonly match: string;
}
const isQuestion = (address: string) => `arp operation request arp daddr ip ${address}`;
const isSolicitation = ({ address6 }: Guest) =>
  `ether type ip6 icmpv6 type nd-neighbor-solicit @th,64,128 ${hexOf6(address6)}`;
const STRANGER = '52:54:00:00:00:99';
const MDNS6 = 'ff02::fb';
const KINDS: Readonly<Record<string, Kind>> = {
  'arp-far': { frame: questionFor(far.address), match: isQuestion(far.address) },
  'arp-gateway': { frame: questionFor(gatewayOf('shop/db')), match: isQuestion(gatewayOf('shop/db')) },
  'arp-nobody': { frame: questionFor(nobody.address), match: isQuestion(nobody.address) },
  'nd-far': { frame: solicitationOf(far), match: isSolicitation(far) },
  'nd-nobody': { frame: solicitationOf(nobody), match: isSolicitation(nobody) },
  // To a guest's address, and to where nobody is known to be.
  'unknown-unicast': {
    frame: datagramTo(STRANGER, far.address, 4001),
    match: `ether daddr ${STRANGER} udp dport 4001`,
  },
  broadcast: {
    frame: datagramTo(EVERYBODY, '255.255.255.255', 4002),
    match: `ether daddr ${EVERYBODY} udp dport 4002`,
  },
  multicast: {
    frame: datagramTo('01:00:5e:00:00:fb', '224.0.0.251', 5353),
    match: 'ip daddr 224.0.0.251 udp dport 5353',
  },
  multicast6: {
    frame: frameOf(
      groupMac(MDNS6),
      near.mac,
      '86dd',
      ip6Of(UDP, near.address6, MDNS6, udpOf(4000, 5353, 'to all')),
    ),
    match: `ip6 daddr ${MDNS6}`,
  },
};
const NAMES = Object.keys(KINDS);
const every = (count: unknown) => Object.fromEntries(NAMES.map((name) => [name, count]));

const byKind = NAMES.map((name) => `${KINDS[name]?.match} counter name ${name}`);
const watch = (host: string, family: string, chains: readonly string[], more: readonly string[] = []) =>
  stage.run(
    host,
    ['nft', '-f', '-'],
    `table ${family} watch {\n${[...[...NAMES, ...more].map((name) => `counter ${name} { }`), ...chains].join('\n')}\n}\n`,
  );
const countsAt = async (host: string): Promise<Readonly<Record<string, number>>> => {
  const { nftables } = JSON.parse(await stage.run(host, ['nft', '-j', 'list', 'counters'])) as {
    nftables: readonly { counter?: { name: string; table: string; packets: number } }[];
  };
  return Object.fromEntries(
    nftables.flatMap(({ counter }) =>
      counter?.table === 'watch' ? [[counter.name, counter.packets] as const] : [],
    ),
  );
};
/** What a guest sends, before any rule of ours. */
const watchSender = () =>
  watch('h1', 'bridge', [
    'chain in {',
    'type filter hook prerouting priority -300;',
    ...byKind.map((rule) => `iifname "${tapName(FLEET, near.address)}" ${rule}`),
    '}',
  ]);
/** What comes out of the tunnels; and, wherever it would come out, what is in them for none that is known here (RFC 7348: behind 16 bytes). */
const watchReceiver = () => {
  const known = [far.mac, routerOf('h2').mac].map((mac) => `0x${mac.replaceAll(':', '')}`);
  return watch(
    'h2',
    'netdev',
    [
      'chain tunnels {',
      `type filter hook ingress devices = { ${MESH}, ${BACKBONE} } priority -300;`,
      ...byKind,
      `iifname ${MESH} counter name meshed`,
      `iifname ${BACKBONE} counter name routed`,
      '}',
      'chain underlay {',
      'type filter hook ingress device eth0 priority -300;',
      `udp dport 4789 @th,128,48 != { ${known.join(', ')} } counter name for-others`,
      '}',
    ],
    ['meshed', 'routed', 'for-others'],
  );
};

const sendAll = async () => {
  for (const name of NAMES)
    await stage.guest(near.id).ask({ do: 'frame', device: 'eth0', hex: KINDS[name]?.frame });
};
/** What was sent before has come by then, if it comes at all: both went the same way. */
const honestOneCame = (text: string) =>
  waitFor(
    `an honest datagram: ${text}`,
    async () => {
      await stage.guest(near.id).ask({ do: 'datagram', host: far.address, port: 514, text });
      return stage.guest(far.id).ask<number>({ do: 'came', part: text });
    },
    (count) => count > 0,
    30_000,
  );
const heard = (by: Guest, part: string) => stage.guest(by.id).ask<number>({ do: 'came', part });
const digits = (mac: string) => mac.replaceAll(':', '');
const reaches = (from: Guest, port: number) =>
  stage.guest(from.id).ask({
    ...{ do: 'connect', limit: ANSWERS_S },
    targets: [far.address, far.address6].map((address) => [address, port]),
  });

beforeAll(async () => {
  await stage.open(HERE);
  const apply = () =>
    Promise.all(HERE.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests) })));
  await apply();
  for (const guest of guests) await stage.addGuest(guest);
  await apply();
  await Promise.all([watchSender(), watchReceiver()]);
}, 120_000);
afterAll(() => stage.close());

test('what looks for somebody, and what is for all or for nobody, stays on its host, and the host answers for guests elsewhere', async () => {
  await stage.guest(near.id).ask({ do: 'sniff', device: 'eth0' });
  await stage.guest(neighbour.id).ask({ do: 'sniff', device: 'eth0' });
  await sendAll();
  await honestOneCame('behind all of them');
  expect(await countsAt('h1')).toEqual(every(expect.toSatisfy((count: number) => count > 0)));
  expect(await countsAt('h2')).toMatchObject({ ...every(0), 'for-others': 0 });
  const isHeard = (by: Guest, part: string) =>
    waitFor(
      `${by.id} to hear ${part}`,
      () => heard(by, part),
      (count) => count > 0,
      30_000,
    );
  // What is for all is for all of its own bridge.
  await isHeard(neighbour, `${digits(EVERYBODY)}${digits(near.mac)}0800`);
  const answer = ({ mac, address }: Guest) => `0002${digits(mac)}${hexOf4(address)}`;
  // Advertised addresses, each followed by who has it (RFC 4861, 4.4 and 4.6.1).
  const answer6 = ({ address6 }: Guest) => `${hexOf6(address6).slice(2)}0201`;
  await isHeard(near, answer(far));
  await isHeard(near, `${answer6(far)}${digits(far.mac)}`);
  expect(await heard(near, hexOf4(nobody.address))).toBe(0);
  expect(await heard(near, answer6(nobody))).toBe(0);
});

test('with that, guests of a mesh reach each other across hosts', async () => {
  expect(await reaches(near, 80)).toEqual([true, true]);
  expect(await reaches(visitor, 9000)).toEqual([true, true]);
  const { meshed, routed, ...others } = await countsAt('h2');
  expect(meshed).toBeGreaterThan(0);
  expect(routed).toBeGreaterThan(0);
  expect(others).toEqual({ ...every(0), 'for-others': 0 });
});

test('a host that somebody has told to send all of it to another one does so until its next look', async () => {
  const everywhere = ['fdb', 'append', '00:00:00:00:00:00', 'dev', MESH, 'dst', underlayOf('h2')];
  await stage.run('h1', ['bridge', ...everywhere]);
  const loud = ['flood', 'on', 'mcast_flood', 'on', 'bcast_flood', 'on', 'neigh_suppress', 'off'];
  await stage.run('h1', ['bridge', 'link', 'set', 'dev', MESH, ...loud]);
  await sendAll();
  await honestOneCame('behind those that cross');
  const crossed = await countsAt('h2');
  expect(crossed).toMatchObject(every(expect.toSatisfy((count: number) => count > 0)));
  expect(crossed['for-others']).toBeGreaterThanOrEqual(NAMES.length);

  const { router } = stage.host('h1');
  expect(await router.ask({ do: 'heal' })).toBe(true);
  expect(await router.ask({ do: 'heal' })).toBe(false);
  const healed = await countsAt('h2');
  await sendAll();
  await honestOneCame('behind those that do not');
  const { meshed: _meshed, ...after } = await countsAt('h2');
  expect(healed).toMatchObject(after);
});

test.each(['flood', 'mcast_flood', 'bcast_flood', 'learning'])(
  '%s of a mesh, switched on by somebody, is off after the next look',
  async (flag) => {
    await stage.run('h1', ['bridge', 'link', 'set', 'dev', MESH, flag, 'on']);
    const { router } = stage.host('h1');
    expect(await router.ask({ do: 'heal' })).toBe(true);
    expect(await router.ask({ do: 'heal' })).toBe(false);
    expect(await stage.run('h1', ['bridge', '-d', 'link', 'show', 'dev', MESH])).toContain(` ${flag} off`);
  },
);
