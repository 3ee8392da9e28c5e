import type { NetworkGoal } from '../protocol/index.ts';
import { hexOf6, hexOfMac, linkLocalOf } from './addresses.ts';
import { APART, countedChains, countedSets, PASSES_IN_MESH } from './counted-guests.ts';
import { fleetPrefix, hexOf4, meshDevice, tableName, tapName } from './names.ts';
import { composeChain, composeSet, composeTableText, verdicts } from './nft-text.ts';
import type { RoutingPart } from './router-part.ts';
import { sharedSubnets } from './shared-subnets.ts';

type Lease = NetworkGoal['leases'][number];

/**
 * What a guest may send at all, judged where it enters its bridge: under its own addresses only, and nothing that a router or a
 * server of addresses says. Between the ports of a bridge nothing passes, but in a mesh.
 */
export function composeBridgeTable(part: RoutingPart): string {
  const { fleet, networks } = part;
  const prefix = fleetPrefix(fleet);
  const [taps, meshes] = [`"wt${prefix}-*"`, `"wv${prefix}-*"`];
  const leases = networks.flatMap((network) => network.leases);
  const shared = sharedSubnets(part);
  return composeTableText('bridge', tableName(fleet), [
    ...meshSets(part),
    ...countedSets(part),
    ...countedChains,
    ...networks.flatMap(({ id, leases: own }) =>
      own.map((lease) => composeChain(chainOf(lease), null, guestRules(lease, shared.has(id)))),
    ),
    composeChain('first-piece', null, FIRST_PIECE),
    composeChain('from-mesh', null, [
      ...SERVERS,
      'udp dport { 67, 547 } counter drop',
      'icmpv6 type nd-router-solicit counter drop',
      'iifname . ether saddr . ip saddr @peers4 accept',
      'iifname . arp saddr ether . arp saddr ip @peers4 accept',
      'iifname . ether saddr . ip6 saddr @peers6 accept',
      'counter drop',
    ]),
    composeChain('prerouting', 'type filter hook prerouting priority filter; policy accept;', [
      ...verdicts(
        'iifname',
        leases.map((lease) => [`"${tapName(fleet, lease.address)}"`, chainOf(lease)] as const),
      ),
      // A guest that the goal does not know any more.
      `iifname ${taps} counter drop`,
      `iifname ${meshes} goto from-mesh`,
    ]),
    composeChain('forward', 'type filter hook forward priority filter; policy accept;', [
      `iifname @mesh oifname @mesh ${PASSES_IN_MESH}`,
      APART,
      `iifname ${taps} counter drop`,
      `oifname ${taps} counter drop`,
      `iifname ${meshes} counter drop`,
      `oifname ${meshes} counter drop`,
    ]),
    // What goes to a guest comes from this host's router: without a mesh nothing here has to look at it.
    ...(networks.some(({ mesh }) => mesh) ? [toMesh(meshes)] : []),
  ]);
}

/** Each host's own servers answer its own guests. */
const toMesh = (meshes: string) =>
  composeChain('postrouting', 'type filter hook postrouting priority filter; policy accept;', [
    `oifname ${meshes} udp dport { 67, 68, 546, 547 } counter drop`,
    `oifname ${meshes} icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } counter drop`,
  ]);

const chainOf = ({ address }: Lease) => `guest-${hexOf4(address)}`;

/** Of all kinds. */
const GROUPS = 'ff00::/8';

/** Who answers need not do so from a server's port, but at a client's. A bridge that has heard a querier gives others' multicast to those alone that answer it. */
const SERVERS = [
  'udp sport { 67, 547 } counter drop',
  'ether type ip udp dport 68 counter drop',
  'ether type ip6 udp dport 546 counter drop',
  'icmp type redirect counter drop',
  'igmp type membership-query counter drop',
  'icmpv6 type { nd-router-advert, nd-redirect, mld-listener-query } counter drop',
];

/** Neither a server of addresses nor who asks one: of that nothing below forbids anything. Pieces of a datagram that show no ports do not match. */
const PLAIN = 'udp sport != { 67, 547 } udp dport != { 67, 68, 546, 547 }';

/** About packets that somebody else has dropped, and that they carry the beginning of. */
const ERRORS = '{ destination-unreachable, source-quench, time-exceeded, parameter-problem }';
const ERRORS6 = '{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }';
const IS_PIECE = 'ip frag-off & 0x3fff != 0';

/**
 * Of IPv6 in pieces. What it is says the first one, which has to show it whole (RFC 7112): rules read no header that is in another piece, and hosts put them
 * together. Of ICMPv6 only echoes are as large (RFC 6980).
 */
const FIRST_PIECE = [
  'frag frag-off != 0 return',
  'meta l4proto != { icmpv6, udp } return',
  'icmpv6 type { echo-request, echo-reply } return',
  'udp length >= 8 return',
  'counter drop',
];

/** @param isShared its router answers for the subnet's guests. */
function guestRules({ mac, address, address6 }: Lease, isShared: boolean): readonly string[] {
  const linkLocal = linkLocalOf(mac);
  const own6 = [...(address6 ? [address6] : []), linkLocal];
  return [
    `ether saddr != ${mac} counter drop`,
    // Most of what there is: nothing below forbids it.
    `ip saddr ${address} meta l4proto tcp accept`,
    `ip6 saddr { ${own6.join(', ')} } meta l4proto tcp accept`,
    `ip saddr ${address} ${PLAIN} accept`,
    `ip6 saddr { ${own6.join(', ')} } ${PLAIN} accept`,
    `arp saddr ether != ${mac} counter drop`,
    `arp saddr ip { 0.0.0.0, ${address} } accept`,
    'ether type arp counter drop',
    'meta protocol ip6 exthdr frag exists jump first-piece',
    ...SERVERS,
    // It complains of what was sent to it. Whoever passes that on takes it for a part of the connection that it is about.
    `icmp type ${ERRORS} @th,192,32 != 0x${hexOf4(address)} counter drop`,
    `${IS_PIECE} icmp type ${ERRORS} counter drop`,
    `icmpv6 type ${ERRORS6} @th,256,128 != { ${own6.map(hexOf6).join(', ')} } counter drop`,
    // It asks for an address for itself only (RFC 2131: `chaddr`, 28 bytes behind the header of UDP), and refuses none of another's.
    `${IS_PIECE} udp dport 67 counter drop`,
    `udp dport 67 @th,288,48 != ${hexOfMac(mac)} counter drop`,
    `ip saddr ${address} accept`,
    'ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept',
    // By its link-local address it is known to who answers; and this host's own programs answer so many only.
    `ip6 saddr != { ::, ${linkLocal} } icmpv6 type nd-router-solicit counter drop`,
    `ip6 saddr != ${linkLocal} ip6 daddr ${GROUPS} udp dport 547 counter drop`,
    'icmpv6 type nd-router-solicit limit rate over 5/second burst 20 packets counter drop',
    `ip6 daddr ${GROUPS} udp dport 547 limit rate over 10/second burst 20 packets counter drop`,
    // The address that an advertisement is about: behind 8 bytes of ICMP.
    `icmpv6 type nd-neighbor-advert @th,64,128 != { ${own6.map(hexOf6).join(', ')} } counter drop`,
    // Nobody else has its address; the router, which answers for it, would say that it is taken.
    ...(isShared ? ['ip6 saddr :: icmpv6 type nd-neighbor-solicit counter drop'] : []),
    `ip6 saddr { ::, ${own6.join(', ')} } accept`,
    'counter drop',
  ];
}

function meshSets({ fleet, networks }: RoutingPart): readonly string[] {
  const meshed = networks.flatMap((network) => (network.mesh ? [{ ...network, mesh: network.mesh }] : []));
  const ports = meshed.flatMap((network) => [
    meshDevice(fleet, network),
    ...network.leases.map(({ address }) => tapName(fleet, address)),
  ]);
  const peers = meshed.flatMap((network) =>
    network.mesh.peers.map((peer) => ({ ...peer, on: `"${meshDevice(fleet, network)}" . ${peer.mac}` })),
  );
  return [
    composeSet(
      'mesh',
      'ifname',
      ports.map((port) => `"${port}"`),
    ),
    composeSet(
      'peers4',
      'ifname . ether_addr . ipv4_addr',
      peers.map(({ on, address }) => `${on} . ${address}`),
    ),
    composeSet(
      'peers6',
      'ifname . ether_addr . ipv6_addr',
      peers.flatMap(({ on, mac, address6 }) => [`${on} . ${address6}`, `${on} . ${linkLocalOf(mac)}`]),
    ),
  ];
}
