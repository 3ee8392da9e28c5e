import { isIPv6 } from 'node:net';
import type { SharedAddress } from '../protocol/index.ts';

export interface OwnLink {
  /** This host's address on the underlay. */
  readonly address: string;
  /** The interface that has it. */
  readonly interface: string;
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
  { address: own, interface: link }: OwnLink,
): string {
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
        '  unicast_peer {',
        ...shared.peers.map((peer) => `    ${peer}`),
        '  }',
        '  garp_master_refresh 10',
        ...addressesBlock('virtual_ipaddress', advertised, link),
        ...(others.length > 0 ? addressesBlock('virtual_ipaddress_excluded', others, link) : []),
        '}',
      ].join('\n'),
    ];
  });
  return `${['global_defs {', '  vrrp_version 3', '  vrrp_garp_master_delay 1', '}', ...instances].join('\n')}\n`;
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
