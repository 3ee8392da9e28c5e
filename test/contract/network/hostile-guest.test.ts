import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkLocalOf } from '../../../agent/network/addresses.ts';
import { bridgeName, hexOf4, tapName } from '../../../agent/network/names.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  aGuest,
  FLEET,
  type Guest,
  gateway6Of,
  gatewayMacOf,
  gatewayOf,
  numberOfRole,
  partOf,
  underlayOf,
} from './fleet.ts';
import {
  arpOf,
  firstPieceOf,
  frameOf,
  hexOf,
  ICMP,
  ICMP6,
  icmp6Of,
  ip4Of,
  ip6Of,
  pieceOf6,
  redirectOf,
  synOf,
  TCP,
  tooBigOf,
  UDP,
  udp4Of,
  udpOf,
} from './frames.ts';
import { Stage } from './stage.ts';

const ANSWERS_S = 20;
const [IGMP, HOP_BY_HOP, FRAGMENT, OPTIONS] = [2, 0, 44, 60];

const stage = new Stage();
const [web, db, mesh, peer, other] = [
  aGuest('crm/web', 0, 'h1'),
  aGuest('crm/db', 0, 'h1'),
  aGuest('shop/db', 0, 'h1'),
  aGuest('shop/db', 1, 'h1'),
  aGuest('shop/web', 0, 'h1'),
];
const guests: readonly Guest[] = [web, db, mesh, peer, other];

const send = (from: Guest, hex: string) => stage.guest(from.id).ask({ do: 'frame', device: 'eth0', hex });
async function expectReached(from: Guest, ...targets: readonly (readonly [string, number])[]): Promise<void> {
  const answers = await stage.guest(from.id).ask({ do: 'connect', targets, limit: ANSWERS_S });
  expect(answers).toEqual(targets.map(() => true));
}

beforeAll(async () => {
  await stage.open(['h1']);
  const { router } = stage.host('h1');
  await router.ask({ do: 'apply', part: partOf('h1', guests) });
  for (const guest of guests) await stage.addGuest(guest);
  await router.ask({ do: 'apply', part: partOf('h1', guests) });
});
afterAll(() => stage.close());

const linkLocal = linkLocalOf(web.mac);
const gateway = gatewayOf('crm/web');
const to = (type: '0800' | '86dd', packet: string, mac = gatewayMacOf('crm/web')) =>
  frameOf(mac, web.mac, type, packet);
const of4 = (protocol: number, payload: string, target = gateway) =>
  to('0800', ip4Of(protocol, web.address, target, payload));
const of6 = (next: number, payload: string) =>
  to('86dd', ip6Of(next, linkLocal, gateway6Of('crm/web'), payload, 255));
const complaint6 = (about: string) =>
  of6(ICMP6, icmp6Of(2, linkLocal, gateway6Of('crm/web'), `00000500${about}`));
/** That another one's address is at the guest's hardware address. */
const claim = icmp6Of(
  136,
  linkLocal,
  gateway6Of('crm/web'),
  `60000000${ip6Of(0, db.address6, db.address6, '').slice(16, 48)}0201${web.mac.replaceAll(':', '')}`,
);
/** Of listeners, each with the option that a router is to look at it. */
const listening = (type: number, group: string, body: string) =>
  to(
    '86dd',
    ip6Of(HOP_BY_HOP, linkLocal, group, `3a00050200000100${icmp6Of(type, linkLocal, group, body)}`, 1),
    `33:33:00:00:00:${group.slice(-2).padStart(2, '0').replace(':', '0')}`,
  );
const text = 'a datagram';
const query = '1164ee9b00000000';

test('what a guest says of others, or as their router, stops at its own interface', async () => {
  const forged = {
    'the first piece of an advertisement of another': of6(FRAGMENT, pieceOf6(ICMP6, claim.slice(0, 16))),
    'options in a piece of their own, before an advertisement': of6(
      FRAGMENT,
      pieceOf6(OPTIONS, '3a00010400000000'),
    ),
    'an advertisement behind options': of6(OPTIONS, `3a00010400000000${claim}`),
    'a question who listens': listening(130, 'ff02::1', `03e80000${'0'.repeat(32)}`),
    'a question who listens, of IPv4': to(
      '0800',
      ip4Of(IGMP, web.address, '224.0.0.1', query),
      '01:00:5e:00:00:01',
    ),
    'an answer with a lease, from no port of a server': to(
      '0800',
      udp4Of(web.address, gateway, udpOf(4000, 68, text)),
    ),
    'the first piece of a refusal of another one’s lease': to(
      '0800',
      firstPieceOf(ip4Of(UDP, web.address, gateway, '0044004300b00000')),
    ),
    'a complaint about a connection of others': of4(
      ICMP,
      tooBigOf(udp4Of(db.address, other.address, udpOf(1, 2, ''))),
    ),
    'a complaint about a tunnel of its host': of4(
      ICMP,
      tooBigOf(udp4Of(underlayOf('h1'), underlayOf('h2'), udpOf(51_821, 51_821, ''))),
    ),
    'a complaint in pieces': to(
      '0800',
      firstPieceOf(
        ip4Of(ICMP, web.address, gateway, tooBigOf(udp4Of(gateway, web.address, udpOf(3, 4, '')))),
      ),
    ),
    'a complaint about a connection of others, of IPv6': complaint6(
      ip6Of(UDP, db.address6, other.address6, udpOf(1, 2, '')),
    ),
    'a shorter way': of4(ICMP, redirectOf(gateway, udp4Of(gateway, web.address, udpOf(1, 2, '')))),
  };
  const honest = {
    'a complaint about what it was sent': of4(ICMP, tooBigOf(udp4Of(gateway, web.address, udpOf(1, 2, '')))),
    'the same of IPv6': complaint6(ip6Of(UDP, gateway6Of('crm/web'), linkLocal, udpOf(1, 2, ''))),
    'that it listens': listening(143, 'ff02::16', `0000000104000000ff0200000000000000000001ff000001`),
    'the first piece of a datagram': of6(FRAGMENT, pieceOf6(UDP, udpOf(4000, 514, 'the first piece!'))),
    'the piece behind it': of6(FRAGMENT, pieceOf6(UDP, hexOf('the second piece'), 24)),
    'the first piece of an echo': of6(FRAGMENT, pieceOf6(ICMP6, '8000000000010001')),
    'the first piece of a datagram of IPv4': to(
      '0800',
      firstPieceOf(udp4Of(web.address, gateway, udpOf(4000, 514, 'in two pieces'))),
    ),
    'a datagram': to('0800', udp4Of(web.address, gateway, udpOf(4000, 514, text))),
  };
  const { programs } = stage.host('h1');
  // Where a kernel has this, it puts pieces together before they are seen.
  for (const family of ['', '6'])
    await stage
      .run('h1', ['sysctl', '-q', '-w', `net.bridge.bridge-nf-call-ip${family}tables=0`])
      .catch(() => undefined);
  await programs.ask({
    ...{ do: 'sniff' },
    device: bridgeName(FLEET, { number: numberOfRole('crm/web') }),
  });
  for (const frame of [...Object.values(forged), ...Object.values(honest)]) await send(web, frame);
  const sniffed = async (frames: Readonly<Record<string, string>>) => {
    const counts = await Promise.all(
      Object.entries(frames).map(async ([what, frame]) => {
        // What only fills a frame up may be gone.
        const part = frame.replace(/(00)+$/, '');
        return [what, await programs.ask({ do: 'came', part })] as const;
      }),
    );
    return counts.flatMap(([what, count]) => (count === 0 ? [] : [what]));
  };
  await waitFor(
    'all that it may say',
    () => sniffed(honest),
    (found) => found.length === Object.keys(honest).length,
    30_000,
  );
  expect(await sniffed(forged)).toEqual([]);
});

test('a guest makes its host look for nobody who is not there, in other subnets or in its own mesh', async () => {
  const nobody = [77, 78].map(
    (index) => [aGuest('crm/db', index, 'h1'), aGuest('shop/db', index, 'h1')] as const,
  );
  for (const [ofDb, ofMesh] of nobody)
    for (const [from, target, port] of [
      [web, ofDb, 5432],
      [mesh, ofMesh, 80],
    ] as const) {
      const router = gatewayMacOf(from.role);
      const syn = synOf(from, target, 4000, port, '');
      await send(from, frameOf(router, from.mac, '0800', ip4Of(TCP, from.address, target.address, syn)));
      await send(from, frameOf(router, from.mac, '86dd', ip6Of(TCP, from.address6, target.address6, syn)));
    }
  await expectReached(web, [db.address, 5432], [db.address6, 5432]);
  await expectReached(mesh, [peer.address, 80], [peer.address6, 80]);
  const known = `${await stage.run('h1', ['ip', '-4', 'neigh'])}${await stage.run('h1', ['ip', '-6', 'neigh'])}`;
  expect(known).toContain(`${db.address} `);
  for (const { address, address6 } of nobody.flat())
    for (const each of [address, address6]) expect(known).not.toContain(`${each} `);
});

test('a host answers no question for addresses that comes past its bridge, and remembers nobody of it', async () => {
  const tap = tapName(FLEET, web.address);
  await stage.guest(web.id).ask({ do: 'sniff', device: 'eth0' });
  const question = arpOf(web.mac, '198.51.100.7', underlayOf('h1'));
  for (const group of ['00', '0e'])
    await send(web, frameOf(`01:80:c2:00:00:${group}`, web.mac, '0806', question));
  await expectReached(web, [db.address, 5432]);
  expect(await stage.run('h1', ['ip', 'neigh', 'show', 'dev', tap])).toBe('');
  const answer = `${hexOf4(underlayOf('h1'))}${web.mac.replaceAll(':', '')}${hexOf4('198.51.100.7')}`;
  expect(await stage.guest(web.id).ask({ do: 'came', part: answer })).toBe(0);
});
