import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { composeInetTable } from '../../../agent/network/inet-table.ts';
import { planLinks } from '../../../agent/network/links-plan.ts';
import { composeLinks } from '../../../agent/network/links-wanted.ts';
import { hasBackbone, type RouterPart } from '../../../agent/network/router-part.ts';
import { parseTunnelDump } from '../../../agent/network/tunnel-dump.ts';
import { openTunnelKey } from '../../../agent/network/tunnel-key.ts';
import { isNothingToDo, type ObservedTunnel, planTunnel } from '../../../agent/network/tunnel-plan.ts';
import { composeTunnel, tunnelTable } from '../../../agent/network/tunnel-wanted.ts';
import { backboneGoal, underlayOffer } from '../../../agent/protocol/index.ts';
import { aGuest, FLEET, partOf, underlay6Of } from '../../contract/network/fleet.ts';

const keyOf = (letter: string) => `${letter.repeat(42)}A=`;
const KEY = { file: '/var/lib/weft/agent/wireguard.key', publicKey: keyOf('k') };
const NOW_S = 1_000_000;
const guests = [aGuest('crm/web', 0, 'h1'), aGuest('shop/db', 0, 'h1'), aGuest('shop/db', 1, 'h2')];
const nothing: ObservedTunnel = { link: null, configuration: null, rules6: [], isRouted6: false };

/** The second host encrypts, the third cannot. */
function sealedPart(six = false): RouterPart {
  const part = partOf('h1', guests);
  if (!part.backbone) throw new TypeError('it has a backbone');
  const at = <T extends { host: string; underlay: string }>(router: T): T =>
    six ? { ...router, underlay: underlay6Of(router.host) } : router;
  const { self, others } = part.backbone;
  return {
    ...part,
    backbone: {
      ...{ ...part.backbone, mtu: 1_390, tunnel: { port: 51_821, mtu: 1_440 }, self: at(self) },
      others: others.map((other) => ({
        ...at(other),
        ...(other.host === 'h2' ? { publicKey: keyOf('2') } : {}),
      })),
    },
  };
}

const plan = (part: RouterPart, observed: ObservedTunnel) =>
  planTunnel('wgf1ee', composeTunnel(part), KEY, 'kernel', observed, NOW_S);
const lines = (all: readonly (readonly string[])[]) => all.map((each) => each.join(' '));
const peerOf = (text: readonly string[]) => text.join('\t');
const dump = (own: readonly string[], ...peers: readonly string[][]) =>
  parseTunnelDump(`${[own, ...peers].map(peerOf).join('\n')}\n`);
const OWN = ['secret', KEY.publicKey, '51821', 'off'];
const PEER = [keyOf('2'), '(none)', '192.0.2.11:51821', '192.0.2.11/32', '999999', '1', '2', 'off'];
const link = (kind = 'wireguard', more = {}) => ({
  ...{ ifname: 'wgf1ee', mtu: 1_440, flags: ['UP'], addr_info: [{ local: '169.254.47.89', prefixlen: 32 }] },
  linkinfo: { info_kind: kind },
  ...more,
});
const whole: ObservedTunnel = { ...nothing, link: link(), configuration: dump(OWN, PEER) };

test('a tunnel is made with the key that is in a file, and with a peer for each host that encrypts', () => {
  const made = plan(sealedPart(), nothing);
  expect(made.isMade).toBe(true);
  expect(lines(made.configure)).toEqual([
    `set wgf1ee private-key ${KEY.file} listen-port 51821 fwmark 0 peer ${keyOf('2')} preshared-key /dev/null endpoint 192.0.2.11:51821 allowed-ips 192.0.2.11/32 persistent-keepalive 65535`,
  ]);
  expect(lines(made.after)).toEqual([
    'address replace 169.254.47.89/32 dev wgf1ee scope link',
    'link set dev wgf1ee mtu 1440',
    'link set dev wgf1ee up',
  ]);
  expect(isNothingToDo(plan(sealedPart(), whole))).toBe(true);
});

test('over IPv6 what is bound to the device is led there', () => {
  const made = plan(sealedPart(true), nothing);
  const table = tunnelTable(FLEET);
  expect(lines(made.configure)[0]).toContain(
    'endpoint [2001:db8:1::11]:51821 allowed-ips 2001:db8:1::11/128',
  );
  expect(lines(made.after).slice(2)).toEqual([
    `-6 route replace default dev wgf1ee table ${table}`,
    `-6 rule add oif wgf1ee lookup ${table} priority 4789`,
  ]);
  // Rules of another table, and those of an underlay that is none any more, go.
  const stale = plan(sealedPart(), { ...whole, rules6: [table] });
  expect(lines(stale.before)).toEqual([`-6 rule delete oif wgf1ee lookup ${table}`]);
});

test.each([
  ['another key', dump(['secret', keyOf('x'), '51821', 'off'], PEER), 'private-key'],
  ['another port', dump(['secret', KEY.publicKey, '7', 'off'], PEER), 'listen-port 51821'],
  ['a mark', dump(['secret', KEY.publicKey, '51821', '0x1'], PEER), 'fwmark 0'],
  ['no peer', dump(OWN), `peer ${keyOf('2')} preshared-key`],
  ['a peer with more addresses', dump(OWN, PEER.with(3, '0.0.0.0/0')), 'allowed-ips 192.0.2.11/32'],
  ['a second key', dump(OWN, PEER.with(1, keyOf('s'))), 'preshared-key /dev/null'],
  [
    'a silent peer elsewhere',
    dump(OWN, PEER.with(2, '10.9.9.9:1').with(4, '0')),
    'endpoint 192.0.2.11:51821',
  ],
])('%s is put right', (_what, configuration, said) => {
  const made = plan(sealedPart(), { ...whole, configuration });
  expect(lines(made.configure).join()).toContain(said);
  // Hosts that have a session with what the device was have a new one at once.
  expect(lines(made.configure).join()).toContain(`peer ${keyOf('2')} `);
  expect(made.isMade).toBe(false);
});

test('a peer of nobody goes, and the others stay as they are', () => {
  const configuration = dump(OWN, PEER, [keyOf('9'), ...PEER.slice(1)]);
  const made = plan(sealedPart(), { ...whole, configuration });
  expect(lines(made.configure)).toEqual([`set wgf1ee peer ${keyOf('9')} remove`]);
});

test('a peer that is heard from another address keeps it', () => {
  const configuration = dump(OWN, PEER.with(2, '10.9.9.9:51821'));
  expect(isNothingToDo(plan(sealedPart(), { ...whole, configuration }))).toBe(true);
});

test('a peer that has another key by now loses its address before the new one gets it', () => {
  const configuration = dump(OWN, [keyOf('9'), ...PEER.slice(1)]);
  const [call = ''] = lines(plan(sealedPart(), { ...whole, configuration }).configure);
  expect(call.indexOf('remove')).toBeLessThan(call.indexOf('allowed-ips'));
});

test('a device of another making, or of which nobody answers, is made anew; one that nobody wants goes', () => {
  for (const observed of [
    { ...whole, link: link('tun') },
    { ...whole, configuration: null },
  ]) {
    const made = plan(sealedPart(), observed);
    expect(lines(made.before)).toEqual(['link delete dev wgf1ee']);
    expect(made.isMade).toBe(true);
    expect(lines(made.configure)[0]).toContain('private-key');
  }
  const gone = plan(partOf('h1', guests), whole);
  expect(lines(gone.before)).toEqual(['link delete dev wgf1ee']);
  expect([gone.isMade, gone.configure, gone.after]).toEqual([false, [], []]);
});

test('VXLAN’s packets to who encrypts are bound to the tunnel, and go nowhere while there is none', () => {
  const observed = {
    ...{
      links: [],
      routes: [],
      neighbours: [],
      unreachable: [],
      forwards: [],
      without6: new Set<string>(),
      has6: true,
    },
  };
  const wanted = composeLinks(sealedPart());
  const without = planLinks('f1ee', wanted, observed).forwards;
  expect(without.join()).not.toContain('192.0.2.11');
  expect(without.join()).toContain('192.0.2.12');
  const { forwards } = planLinks('f1ee', wanted, { ...observed, links: [link()] });
  expect(forwards).toContain(
    'fdb replace 52:54:ff:00:00:03 dev wxf1ee dst 192.0.2.11 via wgf1ee self permanent',
  );
  expect(forwards).toContain('fdb replace 52:54:ff:00:00:04 dev wxf1ee dst 192.0.2.12 self permanent');
});

test('a binding to a device that is gone is one to another device', () => {
  const wanted = composeLinks(sealedPart());
  const [vxlan] = wanted.vxlans;
  const bound = { device: 'wxf1ee', mac: '52:54:ff:00:00:03', via: '192.0.2.11', through: 'if9' };
  const made = planLinks('f1ee', wanted, {
    links: [
      {
        ...{ ifname: 'wxf1ee', mtu: 1_390, flags: ['UP'], addr_info: [], address: vxlan?.mac ?? '' },
        linkinfo: {
          info_kind: 'vxlan',
          info_data: { id: vxlan?.vni ?? 0, port: 4789, local: '192.0.2.10' },
        },
      },
      link(),
    ],
    ...{
      routes: [],
      neighbours: [],
      unreachable: [],
      forwards: [bound],
      without6: new Set<string>(),
      has6: true,
    },
  });
  expect(made.forwards).toContain(
    'fdb replace 52:54:ff:00:00:03 dev wxf1ee dst 192.0.2.11 via wgf1ee self permanent',
  );
  expect(made.forwards.join()).not.toContain('fdb delete');
});

test('rules let VXLAN of who encrypts in by the tunnel only, and out by no other way', () => {
  const part = sealedPart();
  if (!hasBackbone(part)) throw new TypeError('it has a backbone');
  const text = composeInetTable(part, [], []);
  expect(text).toContain('iifname != "wgf1ee" ip saddr { 192.0.2.11 } counter drop');
  expect(text).toMatch(/oifname != "wgf1ee" ip daddr != { 192\.0\.2\.12 } udp dport 4789 .* counter drop/);
  expect(text).toContain('    oifname "wgf1ee" counter drop\n');
  const plain = partOf('h1', guests);
  if (!hasBackbone(plain)) throw new TypeError('it has a backbone');
  expect(composeInetTable(plain, [], [])).not.toContain('wgf1ee');
});

test('a key is made once, for nobody else, and its public half is what others agree on', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-key-'));
  try {
    const file = join(folder, 'state', 'wireguard.key');
    const { publicKey } = await openTunnelKey(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await openTunnelKey(file)).toEqual({ file, publicKey });
    const bytes = Buffer.from(await readFile(file, 'utf8'), 'base64');
    expect(bytes).toHaveLength(32);
    expect(bytes.toString('base64')).not.toBe(publicKey);
    const jwk = (x: string) =>
      createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' as const });
    const other = generateKeyPairSync('x25519');
    const mine = jwk(Buffer.from(publicKey, 'base64').toString('base64url'));
    const theirs = diffieHellman({ privateKey: other.privateKey, publicKey: mine });
    expect(theirs).toHaveLength(32);
    await writeFile(file, 'no key\n');
    const anew = await openTunnelKey(file);
    expect(anew.publicKey).not.toBe(publicKey);
    expect(underlayOffer.shape.encryption.parse({ publicKey: anew.publicKey, problem: null })).toBeDefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a goal of an older controller encrypts nothing, and what is no key is refused', () => {
  const part = partOf('h1', guests);
  const older = backboneGoal.parse(part.backbone);
  expect(older.tunnel).toBeUndefined();
  expect(composeTunnel(part)).toBeNull();
  const [first] = older.others;
  const forged = { ...older, others: [{ ...first, publicKey: `${'a'.repeat(43)}; rm` }] };
  expect(backboneGoal.safeParse(forged).success).toBe(false);
  expect(backboneGoal.safeParse({ ...older, others: [{ ...first, publicKey: keyOf('a') }] }).success).toBe(
    true,
  );
});
