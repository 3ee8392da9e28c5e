import { chmod, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkLocalOf } from '../../../agent/network/addresses.ts';
import { bridgeName } from '../../../agent/network/names.ts';
import { frameOf6, routerAdvertisement, udp6 } from '../../support/network/frames6.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, type Guest, gateway6Of, gatewayMacOf, numberOfRole, partOf } from './fleet.ts';
import { Stage } from './stage.ts';

const hosts = ['h1', 'h2'];
const ANSWERS_S = 20;
/** They read no seed. */
const web = aGuest('crm/web', 0, 'h1');
const neighbour = aGuest('crm/web', 1, 'h1');
const meshed = aGuest('shop/db', 0, 'h1');
/** They have IPv6 by theirs. */
const db = aGuest('crm/db', 0, 'h2');
const seeded = aGuest('shop/db', 1, 'h1');
const peer = aGuest('shop/db', 2, 'h2');
const guests: readonly Guest[] = [web, neighbour, meshed, db, seeded, peer];

let folder: string;
let stage: Stage;

const bridgeOf = ({ role }: Guest) => bridgeName(FLEET, { number: numberOfRole(role) });
const apply = () =>
  Promise.all(hosts.map((host) => stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests) })));
const heal = (host: string) => stage.host(host).router.ask<boolean>({ do: 'heal' });

/**
 * What an image does that reads no seed. Its files are its own, and it names itself as its file of a DUID says: each run is another one, as after
 * an installation anew.
 */
const ask6 = ({ id }: Guest) =>
  stage.run(id, [
    ...['unshare', '--mount', 'sh', '-c'],
    [
      'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/dhcpcd',
      'exec dhcpcd --ipv6only --oneshot --nobackground --waitip=6 --persistent --timeout 25 --config /dev/null --script /bin/true eth0 2>&1',
    ].join(' && '),
  ]);

/** Whom its client is told to ask for names. */
const nameServersOf = ({ id }: Guest) =>
  stage.run(id, [
    ...['unshare', '--mount', 'sh', '-c'],
    [
      'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/dhcpcd',
      `printf '#!/bin/sh\\necho "$new_dhcp6_name_servers" >>/run/told\\n' >/run/tell && chmod 755 /run/tell`,
      'dhcpcd --ipv6only --oneshot --nobackground --waitip=6 --persistent --timeout 25 --config /dev/null --option dhcp6_name_servers --script /run/tell eth0 >&2',
      'sort -u /run/told',
    ].join(' && '),
  ]);

/** Those of the world, and of the link. */
async function addressesOf({ id }: Guest): Promise<readonly string[]> {
  const text = await stage.run(id, ['ip', '-json', '-6', 'address', 'show', 'dev', 'eth0']);
  const [link] = JSON.parse(text) as { addr_info: { local?: string }[] }[];
  return (link?.addr_info ?? []).flatMap(({ local }) => local ?? []).sort();
}
const ownOf = ({ address6, mac }: Guest) => [address6, linkLocalOf(mac)].sort();

/** Until it is the guest's: asked again, for what is asked while a bridge is just put right has no answer. */
const expectAddressed = (guest: Guest) =>
  waitFor(
    `${guest.id} to have its address`,
    async () => {
      await ask6(guest).catch(String);
      return addressesOf(guest);
    },
    (addresses) => JSON.stringify(addresses) === JSON.stringify(ownOf(guest)),
    60_000,
  );
const forget6 = ({ id }: Guest) =>
  stage.run(id, ['sh', '-c', 'ip -6 address flush dev eth0 scope global; ip -6 route flush default']);
const connects = (from: Guest, to: Guest, port: number) =>
  stage.guest(from.id).ask<boolean[]>({ do: 'connect', targets: [[to.address6, port]], limit: ANSWERS_S });
const waysOut = ({ id }: Guest) => stage.run(id, ['ip', '-6', 'route', 'show', 'default']);

const pidsOfRadvd = async (host: string) =>
  (await stage.run(host, ['ip', 'netns', 'pids', stage.namespace(host)]))
    .trim()
    .split('\n')
    .filter((pid) => pid !== '');
async function radvdOf(host: string): Promise<readonly number[]> {
  const found = await Promise.all(
    (await pidsOfRadvd(host)).map(async (pid) => {
      const line = await stage.run(host, ['cat', `/proc/${pid}/cmdline`]).catch(() => '');
      return line.startsWith('radvd\0') ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-advertisements-'));
  // radvd reads its configuration as its own user.
  await chmod(folder, 0o755);
  stage = new Stage(null, folder);
  await stage.open(hosts);
  await apply();
  for (const guest of [web, neighbour, meshed]) await stage.addBareGuest(guest);
  for (const guest of [db, seeded, peer]) await stage.addGuest(guest);
  await apply();
});
afterAll(async () => {
  await stage.close();
  await rm(folder, { recursive: true, force: true });
});

test('a guest that reads no seed has its one address and its way out, whatever it calls itself', async () => {
  await expectAddressed(web);
  await expectAddressed(meshed);
  const gateway = linkLocalOf(gatewayMacOf(web.role));
  expect(await waysOut(web)).toContain(`via ${gateway}`);
  expect(await connects(web, db, 5432)).toEqual([true]);
  expect(await connects(meshed, peer, 80)).toEqual([true]);
  // Installed anew: nobody holds its address against it.
  await forget6(web);
  await expectAddressed(web);
  expect(await connects(web, db, 5432)).toEqual([true]);
});

test('a guest that asks for a server of names is told its gateway', async () => {
  const told = await waitFor(
    'its client to be told',
    () => nameServersOf(web).catch(String),
    (text) => text.includes(gateway6Of(web.role)),
    60_000,
  );
  expect(told.trim()).toBe(gateway6Of(web.role));
});

test('a guest that has IPv6 by its seed keeps it, and gets no second address, also where it listens to routers', async () => {
  const learned = await waitFor(
    'the router to be advertised',
    () => waysOut(seeded),
    (text) => text.includes('proto ra'),
    60_000,
  );
  expect(learned).toContain(`via ${linkLocalOf(gatewayMacOf(seeded.role))}`);
  expect(await addressesOf(seeded)).toEqual(ownOf(seeded));
  await ask6(seeded);
  expect(await addressesOf(seeded)).toEqual(ownOf(seeded));
  expect(await connects(seeded, peer, 80)).toEqual([true]);
});

test('of what tells guests of IPv6 each part may be killed, and the next look puts it right', async () => {
  expect(await heal('h1')).toBe(false);
  const before = await radvdOf('h1');
  expect(before.length).toBeGreaterThan(0);
  await stage.run('h1', ['kill', '-9', ...before.map(String)]);
  await waitFor(
    'radvd to be gone',
    () => radvdOf('h1'),
    (pids) => pids.length === 0,
    30_000,
  );
  expect(await heal('h1')).toBe(true);
  await waitFor(
    'radvd to be there',
    () => radvdOf('h1'),
    (pids) => pids.length > 0,
    30_000,
  );
  expect(await heal('h1')).toBe(false);

  // As libvirt makes it anew.
  await stage.run('h1', ['ip', 'link', 'delete', bridgeOf(web)]);
  await stage.makeBridge('h1', web.role);
  await forget6(web);
  expect(await heal('h1')).toBe(true);
  await waitFor(
    'all of it to be right',
    () => heal('h1'),
    (changed) => !changed,
    60_000,
  );
  await expectAddressed(web);
  expect(await connects(web, db, 5432)).toEqual([true]);

  // The agent alone: radvd outlives it, and there is one.
  const pids = await radvdOf('h1');
  await stage.restart('h1');
  await apply();
  expect(await radvdOf('h1')).toEqual(pids);
  await forget6(web);
  await expectAddressed(web);
});

const problemOf = (host: string) => stage.host(host).router.ask<string | null>({ do: 'problem' });
async function endRadvd(host: string): Promise<void> {
  const pids = await radvdOf(host);
  await stage.run(host, ['kill', '-9', ...pids.map(String)]);
  await waitFor(
    'radvd to be gone',
    () => radvdOf(host),
    (left) => left.length === 0,
    30_000,
  );
}

test('that a host has no radvd is told until it has one', async () => {
  expect(await problemOf('h1')).toBeNull();
  const gone = join(folder, 'h1.gone');
  await writeFile(gone, '');
  await endRadvd('h1');
  expect(await heal('h1')).toBe(false);
  expect(await problemOf('h1')).toMatch(
    /^guests whose image reads no seed get no IPv6: this host has no radvd; install it/,
  );
  await rm(gone);
  expect(await heal('h1')).toBe(true);
  expect(await problemOf('h1')).toBeNull();
  expect(await radvdOf('h1')).not.toEqual([]);
});

test('that radvd ends by itself whenever it is started is told, and by no look in between taken back', async () => {
  // Where its number is to be written, it cannot be.
  const taken = join(folder, 'h2', 'radvd.pid');
  await endRadvd('h2');
  await rm(taken, { force: true });
  await mkdir(taken);
  await waitFor(
    'the problem to be told',
    async () => {
      await heal('h2');
      return problemOf('h2');
    },
    (problem) => problem?.includes('radvd ends again and again: see ') === true,
    60_000,
  );
  for (const _look of [1, 2, 3]) {
    expect(await heal('h2')).toBe(false);
    expect(await problemOf('h2')).not.toBeNull();
  }
  await rmdir(taken);
  await waitFor(
    'radvd to be there',
    async () => {
      await heal('h2');
      return radvdOf('h2');
    },
    (pids) => pids.length > 0,
    60_000,
  );
});

const SERVERS_MAC = '33:33:00:01:00:02';
const hexOf = (text: string) => Buffer.from(text).toString('hex');
/** A question of DHCPv6 that says what it is. */
const question = (from: string, text: string) => udp6(from, 'ff02::1:2', 546, 547, hexOf(text));

test('a guest asks under its own link-local address only, and so often only', async () => {
  const { programs } = stage.host('h1');
  await programs.ask({ do: 'sniff', device: bridgeOf(web) });
  const send = (to: string, payload: string) =>
    stage.guest(web.id).ask({ do: 'frame', device: 'eth0', hex: frameOf6(to, web.mac, payload) });
  const sniffed = (text: string) => programs.ask<number>({ do: 'came', part: hexOf(text) });
  await send(SERVERS_MAC, question(linkLocalOf(neighbour.mac), 'in the name of another'));
  await send(SERVERS_MAC, question(web.address6, 'by another address'));
  await waitFor(
    'an honest question',
    async () => {
      await send(SERVERS_MAC, question(linkLocalOf(web.mac), 'honest question'));
      return sniffed('honest question');
    },
    (count) => count > 0,
    30_000,
  );
  expect(await sniffed('in the name of another')).toBe(0);
  expect(await sniffed('by another address')).toBe(0);
  const many = Array.from({ length: 300 }, () =>
    send(SERVERS_MAC, question(linkLocalOf(web.mac), 'one of many')),
  );
  await Promise.all(many);
  // Who is beside it is answered all the same.
  await expectAddressed(neighbour);
  expect(await sniffed('one of many')).toBeLessThan(300);
});

test('guests advertise no router and give out no addresses, from whatever port, and nothing of it crosses to other hosts', async () => {
  const rules = [
    'icmpv6 type { nd-router-solicit, nd-router-advert } counter name far',
    'udp dport { 546, 547 } counter name far',
  ].map((rule) => `oifname "wv*" ${rule}`);
  // Behind Weft's own rules.
  await stage.run(
    'h1',
    ['nft', '-f', '-'],
    `table bridge watch {\n counter far { }\n chain in {\n type filter hook postrouting priority 0;\n ${rules.join('\n')}\n }\n}\n`,
  );
  await stage.guest(seeded.id).ask({ do: 'sniff', device: 'eth0' });
  const send = (to: string, payload: string) =>
    stage.guest(meshed.id).ask({ do: 'frame', device: 'eth0', hex: frameOf6(to, meshed.mac, payload) });
  const own = linkLocalOf(meshed.mac);
  const sniffed = (part: string) => stage.guest(seeded.id).ask<number>({ do: 'came', part });
  const advertisement = routerAdvertisement(own, meshed.mac);
  await send('33:33:00:00:00:01', advertisement);
  const to = linkLocalOf(seeded.mac);
  await send(seeded.mac, udp6(own, to, 547, 546, hexOf('rogue answer')));
  await send(seeded.mac, udp6(own, to, 4000, 546, hexOf('answer of no server')));
  await waitFor(
    'an honest datagram behind them',
    async () => {
      await send(seeded.mac, udp6(meshed.address6, seeded.address6, 4000, 514, hexOf('honest datagram')));
      return sniffed(hexOf('honest datagram'));
    },
    (count) => count > 0,
    30_000,
  );
  for (const part of [advertisement, hexOf('rogue answer'), hexOf('answer of no server')])
    expect(await sniffed(part)).toBe(0);

  await forget6(meshed);
  await expectAddressed(meshed);
  expect(await connects(meshed, peer, 80)).toEqual([true]);
  expect(await stage.run('h1', ['nft', 'list', 'counters', 'table', 'bridge', 'watch'])).toContain(
    'packets 0 ',
  );
  await stage.run('h1', ['nft', 'delete', 'table', 'bridge', 'watch']);
});

test('where no guests are left, nothing is advertised', async () => {
  await stage.host('h2').router.ask({ do: 'apply', part: { fleet: FLEET, networks: [] } });
  await waitFor(
    'radvd to end',
    () => radvdOf('h2'),
    (pids) => pids.length === 0,
    30_000,
  );
  await apply();
  await waitFor(
    'radvd to be there',
    () => radvdOf('h2'),
    (pids) => pids.length > 0,
    30_000,
  );
});
