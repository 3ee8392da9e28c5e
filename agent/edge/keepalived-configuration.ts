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
 * higher priority returns. Addresses and interfaces' names have no blank or brace.
 */
export function composeKeepalivedConfiguration(
  addresses: readonly SharedAddress[],
  { address: own, interface: link }: OwnLink,
): string {
  const instances = addresses
    .filter(({ address, peers }) => [own, ...peers].every((each) => isIPv6(each) === isIPv6(address)))
    .map((shared) =>
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
        '  virtual_ipaddress {',
        `    ${shared.address}/${shared.prefix} dev ${link}`,
        '  }',
        '}',
      ].join('\n'),
    );
  return `${['global_defs {', '  vrrp_version 3', '  vrrp_garp_master_delay 1', '}', ...instances].join('\n')}\n`;
}
