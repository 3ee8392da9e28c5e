import { guestAddress6, subnet6Of } from '../../agent/kit/addressing.ts';
import type { Flow, GuestRoute, RouterGoal } from '../../agent/protocol/index.ts';
import type { NetworkRecord, VmRecord } from '../model/records.ts';
import { closedAddresses } from './backbone-goals.ts';
import { counterparts, type DeclaredFlow, EDGE, flowsOf } from './flows.ts';
import { guestsBySubnet } from './guest-places.ts';
import { resolverOf } from './names-goals.ts';
import { edgeHostsOf, type NetworkWorld } from './network-world.ts';
import { outboundAt } from './outbound.ts';

/**
 * What passes one host's router.
 * @param guests VMs that are on it, or come to it. @param hasBackbone without one nothing is reached on other hosts.
 */
export function routerGoalOf(
  host: string,
  guests: readonly VmRecord[],
  hasBackbone: boolean,
  world: NetworkWorld,
): RouterGoal {
  const here = new Set(guests.map(({ networkId }) => networkId));
  const flows = flowsAt(here, world);
  const named = new Set(flows.flatMap(({ from, to }) => [...from, to]));
  const resolver = resolverOf(host, world);
  return {
    subnets: [...named].sort().flatMap((id) => subnetOf(id, world) ?? []),
    flows,
    routes: hasBackbone ? routesAt(host, here, world) : [],
    ...outboundAt(guests, world),
    ...(hasBackbone ? {} : { closed: closedAddresses(world) }),
    ...(resolver ? { resolver } : {}),
  };
}

const appOf = (subnet: string): string => subnet.slice(0, subnet.indexOf('/'));

function applicationsAt(here: ReadonlySet<string>, { applications }: NetworkWorld) {
  const names = [...new Set([...here].map(appOf))].sort();
  return names.flatMap((name) => applications.get(name) ?? []);
}

/** Flows that begin or end on a subnet of this host, of which both ends are there. */
function flowsAt(here: ReadonlySet<string>, world: NetworkWorld): Flow[] {
  return applicationsAt(here, world).flatMap((application) =>
    flowsOf(application).flatMap((flow) => {
      if (!here.has(flow.to) && !flow.from.some((origin) => here.has(origin))) return [];
      return withAddresses(flow, world) ?? [];
    }),
  );
}

function withAddresses({ guest, ...flow }: DeclaredFlow, world: NetworkWorld): Flow | null {
  const network = world.networks.get(flow.to);
  const from = flow.from.filter((origin) => origin === EDGE || world.networks.has(origin));
  if (!network || from.length === 0) return null;
  if (guest === undefined) return { ...flow, from };
  const address = world.vms.get(guest)?.address;
  // Its machine has yet to be made, or is on another network than is declared now.
  if (address === undefined || world.vms.get(guest)?.networkId !== network.id) return null;
  const address6 = guestAddress6(world.fleet.uuid, network.number, network.cidr, address);
  return { ...flow, from, address, address6 };
}

function subnetOf(id: string, { networks, fleet }: NetworkWorld): RouterGoal['subnets'][number] | null {
  const network: NetworkRecord | undefined = networks.get(id);
  if (!network) return null;
  return { id, cidr: network.cidr, cidr6: subnet6Of(fleet.uuid, network.number) };
}

/** Guests of other hosts on subnets that a flow joins with one of this host, in either direction; of an edge host, all that is published too. */
function routesAt(host: string, here: ReadonlySet<string>, world: NetworkWorld): GuestRoute[] {
  const guests = guestsBySubnet(world);
  const reached = new Set<string>();
  for (const application of applicationsAt(here, world))
    for (const [subnet, others] of counterparts(application))
      if (here.has(subnet)) for (const other of others) reached.add(other);
  if (edgeHostsOf(world).has(host))
    for (const application of world.applications.values())
      for (const subnet of counterparts(application).get(EDGE) ?? []) reached.add(subnet);
  return [...reached].sort().flatMap((subnet) => routesTo(guests.get(subnet) ?? [], host));
}

/** Guest → its route, one object: goals that are compared share it. */
const routes = new WeakMap<GuestRoute, GuestRoute>();

function routesTo(guests: readonly GuestRoute[], host: string): readonly GuestRoute[] {
  const others: GuestRoute[] = [];
  for (const guest of guests) {
    if (guest.host === host) continue;
    const route = routes.get(guest) ?? { address: guest.address, address6: guest.address6, host: guest.host };
    routes.set(guest, route);
    others.push(route);
  }
  return others;
}
