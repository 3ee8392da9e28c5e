import { canonicalPrefix, guestAddress6 } from '../../agent/kit/addressing.ts';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { RouterGoal } from '../../agent/protocol/index.ts';
import type { ApplicationRecord, VmRecord } from '../model/records.ts';
import type { Machine, Role } from '../model/service.ts';
import { networkNameOf } from './flows.ts';
import type { NetworkWorld } from './network-world.ts';
import { nameOf } from './placement.ts';
import { machineOf, roleOf } from './retired.ts';

/** What of the world a guest reaches: all that is beyond the hosts' own links, or these prefixes, which may be on them. Empty: nothing. */
export type Outbound = 'all' | readonly string[];

const NOTHING: Outbound = [];

/** @param owner a role or a machine; undefined: it is not declared any more, and nothing of it gets out. */
export function outboundOf(owner: Pick<Role | Machine, 'outbound'> | undefined): Outbound {
  if (owner === undefined || owner.outbound === false) return NOTHING;
  return owner.outbound ?? 'all';
}

/** Of an instance as its role says, of a machine as it says itself; also while it drains. */
export function outboundOfGuest(
  application: ApplicationRecord | undefined,
  { id, role }: Pick<VmRecord, 'id' | 'role'>,
): Outbound {
  if (role === null) return outboundOf(machineOf(application, nameOf(id)));
  return outboundOf(roleOf(application, role));
}

/**
 * Whether nobody on a subnet is to reach anything of the world, so that names of it are not asked for either: they would be a way out. Of machines by
 * those that are declared, or drain, wherever they are.
 */
export function isClosed(application: ApplicationRecord | undefined, subnet: string): boolean {
  const role = roleOf(application, subnet);
  if (role) return role.outbound === false;
  const machines = { ...application?.retiredMachines, ...application?.service.machines };
  return Object.values(machines).every(
    (machine) => networkNameOf(machine) !== subnet || machine.outbound === false,
  );
}

type OutboundGoal = Pick<RouterGoal, 'outbound' | 'outboundByGuest'>;
type Guest = Pick<VmRecord, 'id' | 'app' | 'role' | 'networkId' | 'address'>;

/**
 * What of the world guests of one host reach: a whole subnet, where all of it that is there reach the same; else each guest by its address, of
 * which an older agent knows nothing, so that it lets none of the subnet out.
 */
export function outboundAt(guests: readonly Guest[], world: NetworkWorld): OutboundGoal {
  const outbound: RouterGoal['outbound'] = [];
  const byGuest: NonNullable<RouterGoal['outboundByGuest']> = [];
  for (const [subnet, all] of bySubnet(guests)) {
    const reached = all.map((guest) => outboundOfGuest(world.applications.get(guest.app), guest));
    const [first = NOTHING] = reached;
    if (reached.every((each) => each === first || isSameDocument(each, first))) {
      if (first.length > 0) outbound.push({ subnet, allow: allowOf(first) });
      continue;
    }
    const network = world.networks.get(subnet);
    if (!network) continue;
    for (const [index, { address }] of all.entries()) {
      const allow = allowOf(reached[index] ?? NOTHING);
      const address6 = guestAddress6(world.fleet.uuid, network.number, network.cidr, address);
      if (allow.length > 0) byGuest.push({ subnet, address, address6, allow });
    }
  }
  return { outbound, ...(byGuest.length > 0 ? { outboundByGuest: byGuest } : {}) };
}

/** In one form, for agents that are older take a prefix as it is. */
const allowOf = (outbound: Outbound): 'all' | string[] =>
  outbound === 'all' ? outbound : outbound.map((prefix) => canonicalPrefix(prefix) ?? prefix);

/** In the order of subnets, and of guests' ids: what is the same is told the same. */
function bySubnet(guests: readonly Guest[]): readonly (readonly [string, readonly Guest[]])[] {
  const subnets = new Map<string, Guest[]>();
  for (const guest of [...guests].sort((one, other) => (one.id < other.id ? -1 : 1))) {
    const known = subnets.get(guest.networkId);
    if (known) known.push(guest);
    else subnets.set(guest.networkId, [guest]);
  }
  return [...subnets].sort(([one], [other]) => (one < other ? -1 : 1));
}
