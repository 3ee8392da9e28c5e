import { describe, expect, test } from 'vitest';
import { hexOf6, linkLocalOf } from '../../../agent/network/addresses.ts';
import { isNothing, planLinks } from '../../../agent/network/links-plan.ts';
import { composeLinks } from '../../../agent/network/links-wanted.ts';
import { tapName } from '../../../agent/network/names.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { aGuest, FLEET, partOf } from '../../contract/network/fleet.ts';

const guests = [aGuest('crm/web', 0, 'h1'), aGuest('shop/db', 0, 'h1'), aGuest('shop/db', 1, 'h2')];
const part = partOf('h1', guests);
const nothing = {
  links: [],
  routes: [],
  neighbours: [],
  forwards: [],
  unreachable: [],
  without6: new Set<string>(),
  has6: true,
};

test('all tables of the fleet are replaced in one file, the older one too', () => {
  const text = composeRuleset(part, ['192.0.2.0/24']);
  for (const family of ['ip', 'inet', 'bridge']) expect(text).toContain(`delete table ${family} weft_f1ee\n`);
  expect(text).toContain('5432 . tcp . 10.128.4.0/22 . 10.128.8.0/22');
  expect(text).toContain('"wbf1ee-1" . 10.128.4.10');
  expect(text).toContain('169.254.0.0/16, 192.0.2.10');
  expect(text).toContain('elements = { 192.0.2.0/24 }');
  expect(composeRuleset(part, ['192.0.2.0/24'])).toBe(text);
});

test('what is no prefix is left out of what guests may reach', () => {
  const router = {
    subnets: [],
    flows: [],
    routes: [],
    outbound: [{ subnet: 'crm/web', allow: ['203.0.113.0/24', '0/0; flush ruleset'] }],
  };
  const text = composeRuleset({ ...part, router }, ['not a prefix']);
  expect(text).toContain('iifname "wbf1ee-1" ip daddr 203.0.113.0/24 counter accept');
  expect(text).not.toContain('flush');
  expect(text).not.toContain('not a prefix');
});

test('prefixes are written in one form, however they are told: nft reads 024 as 20', () => {
  const { backbone, router } = part;
  if (!backbone || !router) throw new TypeError('it has both');
  const [guest] = guests;
  const byGuest = { subnet: 'crm/web', address: guest?.address ?? '', address6: guest?.address6 ?? '' };
  const text = composeRuleset(
    {
      ...{ ...part, backbone: { ...backbone, outOfReach: ['198.51.100.0/024', '0.0.0.0/00'] } },
      router: {
        ...router,
        outbound: [
          { subnet: 'crm/web', allow: ['192.168.1.0/024', '10.0.0.0/08', '0.0.0.0/00', '2001:DB8::/032'] },
        ],
        outboundByGuest: [{ ...byGuest, allow: ['203.0.113.0/024', '0.0.0.0/000'] }],
      },
    },
    ['192.0.2.0/24'],
  );
  expect(text).not.toMatch(/\/0\d/);
  for (const prefix of ['192.168.1.0/24', '10.0.0.0/8'])
    expect(text).toContain(`iifname "wbf1ee-1" ip daddr ${prefix} counter accept`);
  expect(text).toContain('iifname "wbf1ee-1" ip6 daddr 2001:db8::/32 counter accept');
  expect(text).toContain(`elements = { ${guest?.address} . 203.0.113.0/24 }`);
  expect(text).toContain(`elements = { ${guest?.address} }`);
  // All of the world is what is beyond the host's links.
  const whole = text.indexOf('ip daddr 0.0.0.0/0 counter accept');
  expect(whole).toBeGreaterThan(text.indexOf('ip daddr @guarded4 counter drop'));
  expect(text).toMatch(/198\.51\.100\.0\/24/);
});

test('a fleet of an older controller has its table of translation alone, and none without a subnet', () => {
  const older = composeRuleset({ fleet: FLEET, networks: part.networks }, []);
  expect(older).toContain('delete table inet weft_f1ee');
  expect(older).toContain('ip saddr 10.128.4.0/22 ip daddr != 10.128.0.0/10 masquerade');
  expect(composeRuleset({ fleet: FLEET, networks: [] }, [])).not.toContain('masquerade');
  expect(composeLinks({ fleet: FLEET, networks: part.networks }).vxlans).toEqual([]);
});

test('without a place on the backbone guests are judged the same, and nothing is there of what comes from other hosts', () => {
  const { backbone, router, ...rest } = partOf('h1', guests);
  if (!backbone || !router) throw new TypeError('it has both');
  const { range, range6, outOfReach = [] } = backbone;
  const apart = { ...rest, router: { ...router, routes: [], closed: { range, range6, outOfReach } } };
  const [text, joined] = [apart, part].map((each) => composeRuleset(each, ['192.0.2.0/24'])) as [
    string,
    string,
  ];
  const chain = (of: string, name: string) => of.match(new RegExp(`  chain ${name} \\{[^}]*\\}`))?.[0];
  for (const name of ['flows', 'outbound', 'guest-input', 'guest-0a80040a'])
    expect(chain(text, name)).toBe(chain(joined, name));
  expect(text).toContain('iifname "wbf1ee-*" goto from-guest');
  expect(text).toContain('5432 . tcp . 10.128.4.0/22 . 10.128.8.0/22');
  expect(text.match(/set never4 \{[^}]*elements = \{([^}]*)\}/)?.[1]).toContain('10.128.0.0/10');
  for (const gone of ['wxf1ee', 'vxlan', 'remote4', 'backbone']) expect(text).not.toContain(gone);
  const links = composeLinks(apart);
  expect([links.vxlans, links.routes, links.forwards]).toEqual([[], [], []]);
  expect(links.addresses).toEqual(composeLinks(part).addresses.filter(({ device }) => device !== 'wxf1ee'));
});

test('names and addresses are as the kernel takes them', () => {
  expect(tapName(FLEET, '10.128.4.10')).toBe('wtf1ee-0a80040a');
  expect(linkLocalOf('52:54:0a:80:04:0b')).toBe('fe80::5054:aff:fe80:40b');
  expect(hexOf6('fd12:3456:789a:1::a')).toBe('0xfd123456789a0001000000000000000a');
});

test('on a host that has nothing yet the backbone is made; what belongs on a bridge waits for it', () => {
  const plan = planLinks('f1ee', composeLinks(part), nothing);
  expect(plan.links).toContain(
    'link add wxf1ee address 52:54:ff:00:00:02 type vxlan id 15859711 dstport 4789 local 192.0.2.10 nolearning',
  );
  expect(plan.addresses).toContain('route replace 10.128.16.11/32 via 10.191.252.3 dev wxf1ee');
  expect(plan.addresses.join()).not.toContain('wbf1ee');
  expect(plan.forwards).toContain('fdb replace 52:54:ff:00:00:03 dev wxf1ee dst 192.0.2.11 self permanent');
  expect(plan.forwards.join()).not.toContain('master');
});

describe('what is for a guest that nobody knows', () => {
  const metric = 4_000_061_934;
  const ranges = ['10.128.0.0/10', 'fd12:3456:789a::/48'];
  const link = (ifname: string, local: string, prefixlen: number) => ({
    ...{ ifname, mtu: 1450, flags: ['UP'], addr_info: [{ local, prefixlen }] },
  });
  const linesOf = (of: Partial<typeof nothing> = {}, near: readonly string[] = [], to: RouterPart = part) =>
    planLinks('f1ee', composeLinks(to), { ...nothing, ...of }, near).addresses.filter((line) =>
      line.includes('unreachable'),
    );
  const made = ranges.map((to) => ({ to, metric }));

  test('goes nowhere, and least of all by the host’s own gateway', () => {
    expect(linesOf()).toEqual(ranges.map((to) => `route replace unreachable ${to} metric ${metric}`));
    expect(linesOf({ unreachable: made as never })).toEqual([]);
    expect(linesOf({ has6: false })).toEqual([`route replace unreachable 10.128.0.0/10 metric ${metric}`]);
    // Its own bridges are in the range, and no others are.
    expect(linesOf({ links: [link('wbf1ee-1', '10.128.4.1', 22)] as never })).toHaveLength(2);
  });

  test('is left to the host where it lives by an address in the range itself', () => {
    const [, six] = ranges.map((to) => `route replace unreachable ${to} metric ${metric}`);
    expect(linesOf({ links: [link('eth0', '10.130.0.7', 16)] as never })).toEqual([six]);
    expect(linesOf({}, ['10.191.0.9'])).toEqual([six]);
    expect(linesOf({ unreachable: made as never }, ['10.191.0.9'])).toEqual([
      `route delete unreachable 10.128.0.0/10 metric ${metric}`,
    ]);
  });

  test('has no route of its own any more where nothing is routed, and somebody else’s stays', () => {
    const others = [{ to: '10.128.0.0/10', metric: 7 }];
    const unreachable = [...made, ...others] as never;
    expect(linesOf({ unreachable }, [], { fleet: FLEET, networks: [] })).toEqual(
      ranges.map((to) => `route delete unreachable ${to} metric ${metric}`),
    );
  });
});

test('only devices that are the fleet’s go, and a VXLAN of another number is made anew', () => {
  const vxlan = (ifname: string, id: number) => ({
    ...{ ifname, mtu: 1450, flags: ['UP'], address: '52:54:ff:00:00:02', addr_info: [] },
    linkinfo: { info_kind: 'vxlan', info_data: { id, port: 4789, local: '192.0.2.10' } },
  });
  const observed = {
    ...nothing,
    links: [vxlan('wxf1ee', 7), vxlan('wvf1ee-99', 8), vxlan('wxf00d', 9), vxlan('wxf1eex', 9)],
  };
  const plan = planLinks('f1ee', composeLinks(part), observed);
  expect(plan.links.filter((line) => line.startsWith('link delete'))).toEqual([
    'link delete dev wxf1ee',
    'link delete dev wvf1ee-99',
  ]);
  expect(isNothing(plan)).toBe(false);
});

const bridge = (overrides: {
  readonly flags: string[];
  readonly addr_info: { local: string; prefixlen: number }[];
}) => ({
  ...{ ifname: 'wbf1ee-1', mtu: 1500, address: '52:54:0a:80:04:01', linkinfo: { info_kind: 'bridge' } },
  ...overrides,
});
const linesOn = (name: string, plan: ReturnType<typeof planLinks>) =>
  [...plan.links, ...plan.enable6, ...plan.addresses, ...plan.forwards].filter((line) => line.includes(name));

test('a bridge that libvirt is just making is left alone until it has its address', () => {
  const wanted = composeLinks(part);
  const making = new Set(['wbf1ee-1']);
  const gateway = { local: '10.128.4.1', prefixlen: 22 };
  for (const flags of [[], ['UP']]) {
    const bare = { ...nothing, links: [bridge({ flags, addr_info: [] })], without6: making };
    expect(linesOn('wbf1ee-1', planLinks('f1ee', wanted, bare, [], making))).toEqual([]);
    // Somebody else's work, where libvirt is not at it.
    expect(linesOn('wbf1ee-1', planLinks('f1ee', wanted, bare))).not.toEqual([]);
  }
  const addressed = { ...nothing, links: [bridge({ flags: [], addr_info: [gateway] })] };
  expect(planLinks('f1ee', wanted, addressed, [], making).links).toContain('link set dev wbf1ee-1 up');
});

test('IPv6 is put on where it is off, also on what is made just now, and nowhere where the kernel has none', () => {
  const wanted = composeLinks(part);
  const links = [bridge({ flags: ['UP'], addr_info: [{ local: '10.128.4.1', prefixlen: 22 }] })];
  const off = planLinks('f1ee', wanted, { ...nothing, links, without6: new Set(['wbf1ee-1']) });
  expect([...off.enable6].sort()).toEqual(['wbf1ee-1', 'wxf1ee']);
  const none = planLinks('f1ee', wanted, { ...nothing, links, has6: false });
  expect(none.enable6).toEqual([]);
  expect(none.addresses.filter((line) => line.includes('fd12:'))).toEqual([]);
  expect(none.addresses).toContain('route replace 10.128.16.11/32 via 10.191.252.3 dev wxf1ee');
});
