import { networkName } from '../../executor/names.ts';
import { bridgeNumber, isBridgeOf, tableName } from '../../network/names.ts';
import { isRouting } from '../../network/router-part.ts';
import type { Finding } from '../findings.ts';
import type { DoctorWorld, Rule } from '../world.ts';

/** Bridges of the fleet that belong to no network of libvirt's, anybody's. One with something on it is left to a person. */
export const loneBridges: Rule<Finding> = (world) => {
  const { goal, bridges, networks, fleet } = world;
  if (goal === null) return [];
  const taken = new Set(networks.flatMap(({ bridge }) => bridge ?? []));
  return bridges
    .filter(({ name }) => isBridgeOf(fleet, name) && !taken.has(name) && !isNetworkThere(world, name))
    .map(({ name, ports }) => ({
      kind: 'lone-bridge',
      subject: name,
      severity: 'note',
      message:
        ports.length === 0
          ? 'a bridge of this fleet without a network'
          : `a bridge of this fleet without a network, and with ${ports.join(', ')} on it`,
      ...(ports.length === 0
        ? { repair: { kind: 'remove-bridge', bridge: name } }
        : { remedy: `See what is on it: ip link show master ${name}`, repair: null }),
    }));
};

/** The network may be on its way: libvirt knows it, or the goal asks for it. */
function isNetworkThere({ goal, networks, fleet }: DoctorWorld, bridge: string): boolean {
  const number = bridgeNumber(fleet, bridge);
  if (number === null) return false;
  return (
    networks.some(({ name }) => name === networkName(fleet, { number })) ||
    goal?.networks.some((network) => network.number === number) === true
  );
}

/** The fleet's tables of rules, where neither the goal nor libvirt has a network of the fleet, and no guest of it is left that they keep in. */
export const loneTables: Rule<Finding> = ({ goal, tables, networks, fleet, hasGuests }) => {
  if (
    goal === null ||
    hasGuests ||
    goal.networks.length > 0 ||
    isRouting(goal) ||
    networks.some(({ mark }) => mark !== null)
  )
    return [];
  return tables
    .filter((table) => table === tableName(fleet))
    .map((table) => ({
      kind: 'lone-table',
      subject: table,
      severity: 'note',
      message: 'the nftables table of a fleet that has no network here',
      repair: { kind: 'remove-table', table },
    }));
};
