import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { SharedAddress } from '../protocol/index.ts';

export interface OwnLink {
  /** This host's address on the underlay. */
  readonly address: string;
  /** The interface that has it. */
  readonly interface: string;
  /** Of that address on the interface. Absent: not known. */
  readonly prefix?: number;
}

/** Hundredths of a second are what VRRP 3 counts in: three are missed before another takes over. */
const ADVERTISE_EVERY_S = '0.2';

/**
 * keepalived's configuration: VRRP version 3 by unicast between the edge hosts, without scripts. The address stays where it is when a host of
 * higher priority returns. The routers speak in the family of the underlay; an address of the other one goes along with one of that family, and is
 * not advertised, which takes one family only. Addresses and interfaces' names have no blank or brace.
 */
export function composeKeepalivedConfiguration(
  addresses: readonly SharedAddress[],
  ownLink: OwnLink,
): string {
  const { address: own, interface: link } = ownLink;
  const isOfOwnFamily = (address: string) => isIPv6(address) === isIPv6(own);
  const instances = addresses.flatMap((shared) => {
    const all = shared.address6 ? [shared, shared.address6] : [shared];
    const advertised = all.filter(({ address }) => isOfOwnFamily(address));
    const others = all.filter(({ address }) => !isOfOwnFamily(address));
    // A goal that gives away what this host lives by would take it from the host in the end.
    if (all.some(({ address }) => address === own)) return [];
    if (advertised.length === 0 || !shared.peers.every(isOfOwnFamily)) return [];
    return [
      [
        `vrrp_instance weft-${shared.routerId} {`,
        '  state BACKUP',
        '  nopreempt',
        `  interface ${link}`,
        `  virtual_router_id ${shared.routerId}`,
        `  priority ${shared.priority}`,
        `  advert_int ${ADVERTISE_EVERY_S}`,
        `  unicast_src_ip ${own}`,
        '  unicast_ttl 255',
        '  unicast_peer {',
        ...shared.peers.map(
          (peer) => `    ${peer}${isOnLink(peer, ownLink) ? ' min_ttl 255 max_ttl 255' : ''}`,
        ),
        '  }',
        '  garp_master_refresh 10',
        ...addressesBlock('virtual_ipaddress', advertised, link),
        ...(others.length > 0 ? addressesBlock('virtual_ipaddress_excluded', others, link) : []),
        '}',
      ].join('\n'),
    ];
  });
  return `${[...GLOBAL, ...instances].join('\n')}\n`;
}

const GLOBAL = [
  'global_defs {',
  '  vrrp_version 3',
  '  vrrp_garp_master_delay 1',
  // Otherwise keepalived believes anybody's advertisements, and whoever names the highest priority takes an address away from all hosts.
  '  vrrp_check_unicast_src',
  '}',
];

/**
 * No router is between this host and a peer: what comes from it has the TTL that it was sent with, and what somebody elsewhere sends under its
 * address has not. Of IPv4 alone, where keepalived has always sent with 255; of IPv6 hosts with an older agent do not.
 */
function isOnLink(peer: string, { address, prefix }: OwnLink): boolean {
  if (prefix === undefined || !isIPv4(peer) || !isIPv4(address)) return false;
  const link = new BlockList();
  link.addSubnet(address, prefix);
  return link.check(peer);
}

/** Nothing that this host sends of its own accord is sent from a shared IPv6 address: it would take the answers along when it moves. */
const addressesBlock = (
  keyword: string,
  addresses: readonly { readonly address: string; readonly prefix: number }[],
  link: string,
): readonly string[] => [
  `  ${keyword} {`,
  ...addresses.map(
    ({ address, prefix }) =>
      `    ${address}/${prefix} dev ${link}${isIPv6(address) ? ' preferred_lft 0' : ''}`,
  ),
  '  }',
];
