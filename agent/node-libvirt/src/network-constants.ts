/** Figures from libvirt's public headers, under their own names without the common prefix. */

/** `virConnectListAllNetworksFlags`: filters of `listAllNetworks`; none means all. */
export const ListNetworksFlag = {
  INACTIVE: 1,
  ACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  AUTOSTART: 16,
  NO_AUTOSTART: 32,
} as const;

/** `virNetworkUpdateCommand`. */
export const NetworkUpdateCommand = {
  NONE: 0,
  MODIFY: 1,
  DELETE: 2,
  ADD_FIRST: 4,
} as const;

/** `virNetworkUpdateSection`. */
export const NetworkUpdateSection = {
  NONE: 0,
  BRIDGE: 1,
  DOMAIN: 2,
  IP: 3,
  IP_DHCP_HOST: 4,
  IP_DHCP_RANGE: 5,
  FORWARD: 6,
  FORWARD_INTERFACE: 7,
  FORWARD_PF: 8,
  PORTGROUP: 9,
  DNS_HOST: 10,
  DNS_TXT: 11,
  DNS_SRV: 12,
} as const;

/** `virNetworkUpdateFlags`. */
export const NetworkUpdateFlag = {
  CURRENT: 0,
  LIVE: 1,
  CONFIG: 2,
} as const;

/** `virNetworkXMLFlags`. */
export const NetworkXmlFlag = {
  INACTIVE: 1,
} as const;
