import type { ObservedLink } from './links-observed.ts';
import { bridgeNic, isPortName } from './names.ts';

/**
 * Whether all that is on a bridge is put back when the bridge is made anew: interfaces of guests, and a mesh's VXLAN, have names of ours by which
 * they are known. Those of guests that an older agent has started have not.
 */
export const areOurs = (
  fleet: string,
  bridge: string,
  links: readonly Pick<ObservedLink, 'ifname' | 'master'>[],
): boolean => links.every(({ ifname, master }) => master !== bridge || isOurs(fleet, bridge, ifname));

const isOurs = (fleet: string, bridge: string, port: string): boolean =>
  isPortName(fleet, port) || port === bridgeNic(bridge);
