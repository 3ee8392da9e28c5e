import type { BackboneGoal, Flow, NetworkGoal, RouterOf } from '../protocol/index.ts';
import { hexOfMac, is4, prefixesOf, serviceAddress } from './addresses.ts';
import { type ConnectionShare, WHOLE } from './connection-share.ts';
import { flowElement, flowLookup, flowType } from './flow-key.ts';
import { guestOutboundSets, isWhole, namedByGuest, worldByGuest } from './guest-outbound.ts';
import { meshedChain, meshedSets } from './meshed-rules.ts';
import { backboneDevice, bridgeName, fleetPrefix, hexOf4, tableName } from './names.ts';
import { composeChain, composeSet, composeTableText, verdicts } from './nft-text.ts';
import { BEGINS, BEGINS_ELSEWHERE, shareChain, shareSets } from './pace-rules.ts';
import type { BackbonePart, RoutingPart } from './router-part.ts';
import { nothingElse, sealedChains, sealedSources, unforwarded } from './sealed-rules.ts';
import { ownConnections } from './socket-rules.ts';

/** Never reached from a guest, whatever else is: a cloud's own services for this host, and what is on its own links. */
const NEVER = ['169.254.0.0/16', 'fe80::/10'];
/**
 * What belongs to a connection. One that begins asks for itself, also where the kernel still knows another of the same ports: its flow may be gone.
 * And a guest is told of no shorter way by anybody: what a redirect speaks of is a connection of the guest's own, so it would be related.
 */
const ESTABLISHED = [
  'ct state established tcp flags & (syn | ack) != syn accept',
  'ct state established meta l4proto != tcp accept',
];
const RELATED = ['icmp type redirect counter drop', 'ct state related accept'];
const ANSWERS = [...ESTABLISHED, ...RELATED];
const FILTER = (hook: string) => `type filter hook ${hook} priority filter; policy accept;`;

/**
 * The router and firewall of this host. Other tables' traffic is not judged: every chain looks at interfaces of the fleet only.
 * @param guarded prefixes of this host's own links: reached where a subnet's outbound names them. @param never out of guests' reach,
 * whatever is declared. @param share how many connections guests may begin. Without a place on the backbone there is none of what comes and goes there, and all else is the same.
 */
export function composeInetTable(
  part: RoutingPart,
  guarded: readonly string[],
  never: readonly string[],
  share: ConnectionShare = WHOLE,
): string {
  const { fleet } = part;
  const joined = part.backbone ? { ...part, backbone: part.backbone } : null;
  const onBackbone = (...lines: readonly string[]) => (joined ? lines : []);
  const bridges = `"wb${fleetPrefix(fleet)}-*"`;
  const device = `"${backboneDevice(fleet)}"`;
  return composeTableText('inet', tableName(fleet), [
    ...guestSets(part),
    ...(joined ? remoteSets(joined) : []),
    ...flowSets(part),
    ...guardedSets(part, guarded, never),
    ...guestOutboundSets(part.router?.outboundByGuest),
    ...shareSets(part, share),
    shareChain(share),
    ...meshedSets(part),
    meshedChain(part),
    ...earlyChains(fleet, joined, bridges),
    ...(joined ? [...vxlanChains(joined), ...sealedChains(joined, vxlanOf(joined))] : []),
    composeChain('flows', null, [
      `${flowLookup('ip', 'dport')} @flows4 accept`,
      `${flowLookup('ip', 'dport')} @endpoints4 accept`,
      `${flowLookup('ip6', 'dport')} @flows6 accept`,
      `${flowLookup('ip6', 'dport')} @endpoints6 accept`,
      // Answers of a connection that this host did not see begin: its guest came here while it ran.
      `tcp flags & syn == 0 ${flowLookup('ip', 'sport')} @flows4 accept`,
      `tcp flags & syn == 0 ${flowLookup('ip', 'sport')} @endpoints4 accept`,
      `tcp flags & syn == 0 ${flowLookup('ip6', 'sport')} @flows6 accept`,
      `tcp flags & syn == 0 ${flowLookup('ip6', 'sport')} @endpoints6 accept`,
      'ip saddr . ip daddr @any4 accept',
      'ip6 saddr . ip6 daddr @any6 accept',
      'counter drop',
    ]),
    composeChain('outbound', null, outboundRules(part)),
    composeChain('from-guest', null, [
      // Most of what there is. Who lives elsewhere by now has no connections: its tap is in no map of the bridge's table, which nothing here has to look up again.
      ...ESTABLISHED,
      ...meshRules(part),
      'iifname . ip saddr != @guests4 counter drop',
      'iifname . ip6 saddr != @guests6 counter drop',
      ...RELATED,
      ...toNobody(bridges),
      BEGINS,
      `oifname ${bridges} goto flows`,
      ...onBackbone(`oifname ${device} goto flows`),
      'goto outbound',
    ]),
    ...(joined ? backboneChains(joined, bridges) : []),
    composeChain('to-fleet', null, [...ANSWERS, 'counter drop']),
    composeChain('forward', FILTER('forward'), [
      ...(joined ? unforwarded(joined) : []),
      `iifname ${bridges} goto from-guest`,
      ...onBackbone(`iifname ${device} goto from-backbone`),
      `oifname ${bridges} goto to-fleet`,
      ...onBackbone(`oifname ${device} goto to-fleet`),
    ]),
    composeChain('guest-input', null, [
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept',
      // Who asks for a router or an address has none yet, but that of its link.
      'icmpv6 type nd-router-solicit accept',
      'ip6 saddr fe80::/10 ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept',
      'ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept',
      'iifname . ip saddr != @guests4 counter drop',
      'iifname . ip6 saddr != @guests6 counter drop',
      'ct state established,related accept',
      ...ownConnections('iifname . ip daddr @gateways4', 'iifname . ip6 daddr @gateways6'),
      BEGINS,
      'iifname . ip daddr @gateways4 udp dport { 53, 67 } accept',
      'iifname . ip daddr @gateways4 tcp dport 53 accept',
      'iifname . ip daddr @gateways4 icmp type echo-request accept',
      'iifname . ip6 daddr @gateways6 udp dport 53 accept',
      'iifname . ip6 daddr @gateways6 tcp dport 53 accept',
      'iifname . ip6 daddr @gateways6 icmpv6 type echo-request accept',
      'counter drop',
    ]),
    composeChain('input', FILTER('input'), [
      ...(joined ? [judgedEarly(joined), `${vxlanOf(joined)} goto vxlan`, ...nothingElse(joined)] : []),
      `iifname ${bridges} goto guest-input`,
      ...onBackbone(`iifname ${device} goto backbone-input`),
    ]),
    composeChain(
      'output',
      'type nat hook output priority -100; policy accept;',
      joined ? resolverRules(joined) : [],
    ),
    composeChain(
      'postrouting',
      'type nat hook postrouting priority srcnat; policy accept;',
      translatedPrefixes(part).map(
        (from) => `${from} oifname != ${bridges}${joined ? ` oifname != ${device}` : ''} masquerade`,
      ),
    ),
  ]);
}

/** Flows go to subnets: for who is not there this host would ask in vain, and remember for a while that it has, of as many as somebody likes to name. */
const toNobody = (bridges: string): readonly string[] => [
  `oifname ${bridges} oifname . ip daddr != @guests4 counter drop`,
  `oifname ${bridges} oifname . ip6 daddr != @guests6 counter drop`,
];

/** What comes from other hosts' routers. */
const backboneChains = ({ backbone }: BackbonePart, bridges: string): readonly string[] => [
  composeChain('from-backbone', null, [
    'ether saddr . ip saddr != @remote4 counter drop',
    'ether saddr . ip6 saddr != @remote6 counter drop',
    ...ANSWERS,
    ...toNobody(bridges),
    ...BEGINS_ELSEWHERE,
    `oifname ${bridges} goto flows`,
    'counter drop',
  ]),
  composeChain('backbone-input', null, [
    'ether saddr . ip saddr != @remote4 counter drop',
    'ether saddr . ip6 saddr != @remote6 counter drop',
    'ct state established,related accept',
    ...ownConnections(`ip daddr ${backbone.self.address}`, `ip6 daddr ${backbone.self.address6}`),
    ...BEGINS_ELSEWHERE,
    `ip saddr ${backbone.cidr} udp dport 53 accept`,
    `ip saddr ${backbone.cidr} tcp dport 53 accept`,
    `ip saddr ${backbone.cidr} icmp type echo-request accept`,
    `ip6 saddr ${backbone.cidr6} icmpv6 type echo-request accept`,
    'counter drop',
  ]),
];

const named = (part: RoutingPart, network: Pick<NetworkGoal, 'number'>) =>
  `"${bridgeName(part.fleet, network)}"`;

/** Guests and gateways of this host, by the bridge on which they are. */
function guestSets(part: RoutingPart): readonly string[] {
  const { networks } = part;
  const on = (network: NetworkGoal, address: string) => `${named(part, network)} . ${address}`;
  const guests = (pick: (lease: NetworkGoal['leases'][number]) => readonly string[]) =>
    networks.flatMap((network) => network.leases.flatMap(pick).map((address) => on(network, address)));
  return [
    composeSet(
      'guests4',
      'ifname . ipv4_addr',
      guests(({ address }) => [address]),
    ),
    composeSet(
      'guests6',
      'ifname . ipv6_addr',
      guests(({ address6 }) => (address6 ? [address6] : [])),
    ),
    composeSet(
      'gateways4',
      'ifname . ipv4_addr',
      networks.map((network) => on(network, network.gateway)),
    ),
    composeSet(
      'gateways6',
      'ifname . ipv6_addr',
      networks.flatMap((network) => (network.gateway6 ? [on(network, network.gateway6)] : [])),
    ),
  ];
}

/** Who may be the source of what comes over the backbone: a router itself, and guests that are behind it now. */
function remoteSets({ backbone, router }: BackbonePart): readonly string[] {
  const macs = new Map(backbone.others.map(({ host, mac }) => [host, mac]));
  const routes = (router?.routes ?? []).flatMap((route) => {
    const mac = macs.get(route.host);
    return mac === undefined ? [] : [{ ...route, mac }];
  });
  const all = [...backbone.others, ...routes];
  return [
    composeSet(
      'remote4',
      'ether_addr . ipv4_addr',
      all.map(({ mac, address }) => `${mac} . ${address}`),
    ),
    composeSet(
      'remote6',
      'ether_addr . ipv6_addr',
      all.map(({ mac, address6 }) => `${mac} . ${address6}`),
    ),
  ];
}

/** Thousands of flows are one look-up. Those to single guests are apart: elements of an interval set must not lie in one another. */
function flowSets({ backbone, router }: RoutingPart): readonly string[] {
  const subnets = new Map((router?.subnets ?? []).map((subnet) => [subnet.id, subnet]));
  const edges = (backbone?.others ?? []).filter(({ edge }) => edge);
  const sources = (flow: Flow, family: 4 | 6): readonly string[] =>
    flow.from.flatMap((id) => {
      if (id === 'edge') return edges.map((each: RouterOf) => (family === 4 ? each.address : each.address6));
      const subnet = subnets.get(id);
      return subnet === undefined ? [] : [family === 4 ? subnet.cidr : subnet.cidr6];
    });
  const target = (flow: Flow, family: 4 | 6): string | undefined =>
    isSingle(flow)
      ? family === 4
        ? flow.address
        : flow.address6
      : family === 4
        ? subnets.get(flow.to)?.cidr
        : subnets.get(flow.to)?.cidr6;
  const elements = (family: 4 | 6, wanted: (flow: Flow) => boolean) =>
    (router?.flows ?? []).filter(wanted).flatMap((flow) => {
      const to = target(flow, family);
      if (to === undefined) return [];
      const { protocol, port } = flow;
      return sources(flow, family).map((from) =>
        protocol === 'any' ? `${from} . ${to}` : flowElement({ protocol, port, from, to }),
      );
    });
  const interval = ['flags interval'];
  // Each element counts for itself: what a rule that looks them up has let through, by flow.
  const counted = [...interval, 'counter'];
  return ([4, 6] as const).flatMap((family) => {
    const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
    const service = flowType(address);
    return [
      composeSet(
        `flows${family}`,
        service,
        elements(family, (flow) => flow.protocol !== 'any' && !isSingle(flow)),
        counted,
      ),
      composeSet(
        `endpoints${family}`,
        service,
        elements(family, (flow) => flow.protocol !== 'any' && isSingle(flow)),
        counted,
      ),
      composeSet(
        `any${family}`,
        `${address} . ${address}`,
        elements(family, ({ protocol }) => protocol === 'any'),
        interval,
      ),
    ];
  });
}

const isSingle = ({ address, address6 }: Flow) => address !== undefined || address6 !== undefined;

/** What guests never reach: the fleet's own range but by a flow, hosts, the controller, fence devices; and what is beside this host. */
function guardedSets(
  { backbone, router }: RoutingPart,
  guarded: readonly string[],
  never: readonly string[],
): readonly string[] {
  const { range, range6, outOfReach = [] } = backbone ?? router?.closed ?? {};
  const closed = [
    ...NEVER,
    ...(range === undefined ? [] : [range]),
    ...(range6 === undefined ? [] : [range6]),
    ...(backbone ? underlaysOf(backbone) : []),
    ...outOfReach,
    ...never,
  ];
  const of = (all: readonly string[], family: 4 | 6) =>
    prefixesOf(all, family).filter((prefix) => !isWhole(prefix));
  const flags = ['flags interval', 'auto-merge'];
  return [
    composeSet('never4', 'ipv4_addr', of(closed, 4), flags),
    composeSet('never6', 'ipv6_addr', of(closed, 6), flags),
    composeSet('guarded4', 'ipv4_addr', of(guarded, 4), flags),
    composeSet('guarded6', 'ipv6_addr', of(guarded, 6), flags),
  ];
}

const underlaysOf = ({ cidr, cidr6, self, others }: BackboneGoal): readonly string[] => [
  ...[cidr, cidr6],
  ...[self, ...others].map(({ underlay }) => underlay),
];

function outboundRules(part: RoutingPart): readonly string[] {
  const rules = (isWanted: (prefix: string) => boolean) =>
    (part.router?.outbound ?? []).flatMap(({ subnet, allow }) => {
      const network = part.networks.find(({ id }) => id === subnet);
      if (network === undefined || allow === 'all') return [];
      const of = (family: 4 | 6, to: string) =>
        prefixesOf(allow, family)
          .filter(isWanted)
          .map((prefix) => `iifname ${named(part, network)} ${to} daddr ${prefix} counter accept`);
      return [...of(4, 'ip'), ...of(6, 'ip6')];
    });
  const all = (part.router?.outbound ?? []).flatMap(({ subnet, allow }) => {
    const network = part.networks.find(({ id }) => id === subnet);
    return network && allow === 'all' ? [`iifname ${named(part, network)} counter accept`] : [];
  });
  return [
    'ip daddr @never4 counter drop',
    'ip6 daddr @never6 counter drop',
    // Where somebody else's rules lead it: a host that publishes a port of something behind it is a host all the same.
    'ct original ip daddr @never4 counter drop',
    'ct original ip6 daddr @never6 counter drop',
    ...rules((prefix) => !isWhole(prefix)),
    ...namedByGuest,
    'ip daddr @guarded4 counter drop',
    'ip6 daddr @guarded6 counter drop',
    // All of the world is what is beyond this host's links, however it is written.
    ...rules(isWhole),
    ...all,
    ...worldByGuest,
    'counter drop',
  ];
}

function translatedPrefixes({ networks, router }: RoutingPart): readonly string[] {
  const { outbound = [], outboundByGuest = [] } = router ?? {};
  const out = new Set([...outbound, ...outboundByGuest].map(({ subnet }) => subnet));
  return networks
    .filter(({ id }) => out.has(id))
    .flatMap(({ cidr, cidr6 }) => [`ip saddr ${cidr}`, ...(cidr6 ? [`ip6 saddr ${cidr6}`] : [])])
    .sort();
}

/** With br_netfilter this chain sees bridged frames too; the bridge's own table has judged them. */
const meshRules = (part: RoutingPart): readonly string[] =>
  part.networks
    .filter(({ mesh }) => mesh !== undefined)
    .flatMap((network) => {
      const within = `iifname ${named(part, network)} oifname ${named(part, network)}`;
      return [`${within} ${BEGINS}`, `${within} goto meshed`];
    });

const vnisOf = ({ backbone, networks }: BackbonePart): readonly number[] => [
  backbone.vni,
  ...networks.flatMap(({ mesh }) => (mesh ? [mesh.vni] : [])),
];

const vxlanOf = (part: BackbonePart) =>
  `udp dport ${part.backbone.port} @th,96,24 { ${vnisOf(part).join(', ')} }`;

/**
 * What VXLANs carry is tracked; the packets in which they carry it need not be as well, which would cost each of them once more on both hosts.
 * Frames that a bridge does not pass on (802.1D: to 01:80:c2:00:00:00 and the like) come in by the port itself, past all that looks at bridges.
 * And guests of one subnet reach each other by their router, which tells them of no shorter way.
 */
function earlyChains(fleet: string, joined: BackbonePart | null, bridges: string): readonly string[] {
  const hook = (name: string) => `type filter hook ${name} priority raw; policy accept;`;
  return [
    composeChain('early-in', hook('prerouting'), [
      ...(joined ? [`${ownVxlan(joined, 'daddr')} goto vxlan`] : []),
      ...['wt', 'wv'].map((port) => `iifname "${port}${fleetPrefix(fleet)}-*" counter drop`),
    ]),
    composeChain('early-out', hook('output'), [
      ...(joined ? [`${ownVxlan(joined, 'saddr')} notrack accept`] : []),
      `oifname ${bridges} icmp type redirect counter drop`,
      `oifname ${bridges} icmpv6 type nd-redirect counter drop`,
    ]),
  ];
}

function ownVxlan(part: BackbonePart, own: string): string {
  const { underlay } = part.backbone.self;
  return `${is4(underlay) ? 'ip' : 'ip6'} ${own} ${underlay} ${vxlanOf(part)}`;
}

/** What is not tracked has been judged where it came in. Whatever else there is, to another address of this host or led here by somebody's rules, is still to be. */
const judgedEarly = (part: BackbonePart): string => `ct state untracked ${ownVxlan(part, 'daddr')} accept`;

/**
 * VXLAN is taken only from hosts of the goal, and of each only what it may send: frames of its router, and of guests that live there.
 * In VXLAN's packet (RFC 7348) the VNI is 96 bits behind the start of the UDP header, the inner source 176.
 */
function vxlanChains(part: BackbonePart): readonly string[] {
  const { backbone, networks } = part;
  const chainOf = ({ address }: RouterOf) => `vxlan-${hexOf4(address)}`;
  const from = (family: 4 | 6) =>
    backbone.others
      .filter(({ underlay }) => is4(underlay) === (family === 4))
      .map((other) => [other.underlay, chainOf(other)] as const);
  return [
    ...backbone.others.map((other) =>
      composeChain(chainOf(other), null, [
        `@th,96,24 ${backbone.vni} @th,176,48 ${hexOfMac(other.mac)} notrack accept`,
        ...networks.flatMap(({ mesh }) => {
          const macs = (mesh?.peers ?? [])
            .filter(({ host }) => host === other.host)
            .map(({ mac }) => hexOfMac(mac));
          return mesh && macs.length > 0
            ? [`@th,96,24 ${mesh.vni} @th,176,48 { ${[...new Set(macs)].join(', ')} } notrack accept`]
            : [];
        }),
        'counter drop',
      ]),
    ),
    composeChain('vxlan', null, [
      ...sealedSources(part),
      ...verdicts('ip saddr', from(4)),
      ...verdicts('ip6 saddr', from(6)),
      'counter drop',
    ]),
  ];
}

/** Resolvers ask one address for the fleet's names, and the first server that there is answers: who that is has been looked at. */
function resolverRules({ backbone, router }: BackbonePart): readonly string[] {
  const server = router?.resolver?.servers[0];
  if (server === undefined) return [];
  const service = serviceAddress(backbone.cidr);
  return ['udp', 'tcp'].map((protocol) => `ip daddr ${service} ${protocol} dport 53 dnat ip to ${server}`);
}
