import { guestAddress6, subnet6Of } from '../../agent/kit/addressing.ts';
import type { Flow, GuestRoute, RouterGoal } from '../../agent/protocol/index.ts';
import type { NetworkRecord, VmRecord } from '../model/records.ts';
import { closedAddresses } from './backbone-goals.ts';
import { derived } from './derived.ts';
import { counterparts, type DeclaredFlow, EDGE, flowsOf } from './flows.ts';
import { elsewhere, type GuestPlace, guestsBySubnet } from './guest-places.ts';
import { LastMade } from './last-made.ts';
import { listOf, viewOf } from './listed-map.ts';
import { resolverOf } from './names-goals.ts';
import { edgeHostsOf, type NetworkWorld, subnetPart } from './network-world.ts';
import { ofFleet } from './of-fleet.ts';
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
  const { subnets, flows } = declaredAt(here, world);
  const resolver = resolverOf(host, world);
  return {
    subnets,
    flows,
    routes: hasBackbone ? routesAt(host, here, world) : [],
    ...outboundAt(guests, world),
    ...(hasBackbone ? {} : { closed: closedAddresses(world) }),
    ...(resolver ? { resolver } : {}),
  };
}

type Declared = Pick<RouterGoal, 'subnets' | 'flows'>;

/** Ids of subnets → what is declared of them: hosts that have guests of the same ones have the same of it. By the map of all applications. */
const lastDeclared = new LastMade<NetworkWorld['applications'], Map<string, Declared>>();

function declaredAt(here: ReadonlySet<string>, world: NetworkWorld): Declared {
  const { applications, networks, vms, fleet } = world;
  const madeFrom = [listOf(applications), viewOf(networks, subnetPart), viewOf(vms, machinePart), fleet];
  const all = lastDeclared.of(applications, madeFrom, () => new Map());
  const ids = [...here].join(' ');
  const declared = all.get(ids) ?? declare(here, world);
  all.set(ids, declared);
  return declared;
}

/** What of a VM is in flows: of a machine, where it is reached. */
const machinePart = ({ id, role, address, networkId }: VmRecord): unknown =>
  role === null ? { id, address, networkId } : null;

function declare(here: ReadonlySet<string>, world: NetworkWorld): Declared {
  const flows = flowsAt(here, world);
  const named = new Set(flows.flatMap(({ from, to }) => [...from, to]));
  return {
    subnets: [...named].sort().flatMap((id) => subnetOf(id, world) ?? []),
    flows,
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

type Subnet = RouterGoal['subnets'][number];

function subnetOf(id: string, { networks, fleet }: NetworkWorld): Subnet | null {
  const network = networks.get(id);
  return network ? derived(network, subnetIn(fleet)) : null;
}

const subnetIn = ofFleet(
  ({ id, cidr, number }: NetworkRecord, { uuid }): Subnet => ({ id, cidr, cidr6: subnet6Of(uuid, number) }),
);

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
  return [...reached].sort().flatMap((subnet) => routesTo(guests.get(subnet) ?? NOBODY, host));
}

const NOBODY: readonly GuestPlace[] = [];

/** One object for each guest: goals that are compared, and sent, share it. */
const routesTo = elsewhere(({ address, address6, host }): GuestRoute => ({ address, address6, host }));
