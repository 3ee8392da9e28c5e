import type { NetworkGoal } from '../protocol/index.ts';

/** At the front of everything that a fleet has in a kernel: two fleets on one machine never touch each other's. */
export const fleetPrefix = (fleet: string) => fleet.slice(0, 4);

/** Of nftables, in each family. */
export const tableName = (fleet: string) => `weft_${fleetPrefix(fleet)}`;

/** At most 15 characters, the kernel's limit: `wb`, 4, a dash and up to 5 digits. */
export const bridgeName = (fleet: string, network: Pick<NetworkGoal, 'number'>) =>
  `wb${fleetPrefix(fleet)}-${network.number}`;

/** Of the network whose bridge has this name, which is the mark: `wb<fleet4>-<number>`, and nothing else. Null: it is no bridge of the fleet's. */
export function bridgeNumber(fleet: string, name: string): number | null {
  const digits = /-([1-9][0-9]{0,4})$/.exec(name)?.[1];
  if (digits === undefined || name !== bridgeName(fleet, { number: Number(digits) })) return null;
  return Number(digits);
}

export const isBridgeOf = (fleet: string, name: string): boolean => bridgeNumber(fleet, name) !== null;

/** What libvirt has kept on a bridge, for the bridge's hardware address. */
export const bridgeNic = (bridge: string) => `${bridge}-nic`;

/** The VXLAN on which the fleet's routers meet. */
export const backboneDevice = (fleet: string) => `wx${fleetPrefix(fleet)}`;

/** The VXLAN of a subnet whose guests reach each other. */
export const meshDevice = (fleet: string, network: Pick<NetworkGoal, 'number'>) =>
  `wv${fleetPrefix(fleet)}-${network.number}`;

/** WireGuard between the hosts, below their VXLANs. */
export const tunnelDevice = (fleet: string) => `wg${fleetPrefix(fleet)}`;

/** A guest's interface, from its address: 15 characters, so that its rules can be there before it is. */
export const tapName = (fleet: string, address: string) => `wt${fleetPrefix(fleet)}-${hexOf4(address)}`;

export const isTapOf = (fleet: string, name: string): boolean =>
  isOfKind('wt', fleet, name) && /-[0-9a-f]{8}$/.test(name);

/** `10.128.0.11` → `0a80000b`. */
export const hexOf4 = (address: string) =>
  address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');

/** Whether it is an interface of a guest of the fleet's, or a mesh's VXLAN: what is on a bridge of guests. */
export const isPortName = (fleet: string, name: string): boolean =>
  isOfKind('wt', fleet, name) || isMeshOf(fleet, name);

export const isMeshOf = (fleet: string, name: string): boolean => isOfKind('wv', fleet, name);

const isOfKind = (kind: string, fleet: string, name: string): boolean =>
  name.startsWith(`${kind}${fleetPrefix(fleet)}-`);

/** Whether it is a bridge, a guest's interface or a VXLAN of any fleet. */
export const isFleetsName = (name: string): boolean => /^w[btvx][0-9a-f]{4}/.test(name);
