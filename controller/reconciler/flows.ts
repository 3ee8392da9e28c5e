import type { Flow } from '../../agent/protocol/index.ts';
import { MACHINES } from '../model/network-checks.ts';
import type { ApplicationRecord } from '../model/records.ts';
import type { Endpoint, Machine } from '../model/service.ts';
import { derived } from './derived.ts';
import { everMade } from './former-endpoints.ts';
import { ownOf } from './retired.ts';

/** Whom a flow comes from that comes from load balancers. */
export const EDGE = 'edge';

/** A flow as it is declared, before anything has an address. */
export type DeclaredFlow = Omit<Flow, 'address' | 'address6'> & {
  /** Id of the one guest that it goes to, a machine. Absent: all of the subnet. */
  readonly guest?: string;
};

/** The network that a machine is on. */
export const networkNameOf = (machine: Machine | undefined): string => machine?.network ?? MACHINES;

type Named = Pick<ApplicationRecord, 'service' | 'retired' | 'retiredMachines'>;

/** Names of everything of an application that has a subnet of its own, when it has guests; also of what is not declared any more and drains. */
export const subnetNamesOf = ({ service: { roles, machines }, ...going }: Named): readonly string[] => [
  ...new Set([
    ...Object.keys(roles),
    ...Object.values(machines).map(networkNameOf),
    ...retiredSubnets(going),
  ]),
];

/** Of what is not declared any more and drains. */
const retiredSubnets = ({
  retired = {},
  retiredMachines = {},
}: Omit<Named, 'service'>): readonly string[] => [
  ...Object.keys(retired),
  ...Object.values(retiredMachines).map(networkNameOf),
];

/** What is remembered of flows that let in what is not declared any more and drains: others may not name it any more. */
export function retiredFlowsAfter(
  before: ApplicationRecord | null,
  going: Pick<ApplicationRecord, 'retired' | 'retiredMachines'>,
): Pick<ApplicationRecord, 'retiredFlows'> {
  const names = [...new Set(retiredSubnets(going))];
  if (!before || names.length === 0) return {};
  const flows = flowsOf(before);
  const of = (name: string) =>
    flows.filter(({ from }) => from.includes(`${before.name}/${name}`)).map(({ id }) => id);
  return { retiredFlows: Object.fromEntries(names.map((name) => [name, [...new Set(of(name))]])) };
}

/** Everything that an application's endpoints, and its meshes, let through. Nothing ever leads from one application to another. */
export const flowsOf = (application: ApplicationRecord): readonly DeclaredFlow[] =>
  derived(application, declare);

function declare(application: ApplicationRecord): readonly DeclaredFlow[] {
  const { name: app, service, retired = {}, retiredMachines = {}, retiredFlows } = application;
  const all = subnetNamesOf(application);
  const going = retiredSubnets(application);
  const id = (subnet: string) => `${app}/${subnet}`;
  const networks = Object.values({ ...retiredMachines, ...service.machines }).map(networkNameOf);
  /** A role's own instances reach each other by `mesh` alone, and one machine on a network has nobody beside it. */
  const isShared = (subnet: string) => networks.filter((network) => network === subnet).length > 1;
  /** Nobody named: all others. */
  const origins = ({ type, from }: Endpoint, own: string, flow: string): string[] => {
    if (type !== 'internal') return [EDGE];
    const wasLetIn = (name: string) => going.includes(name) && ownOf(retiredFlows, name)?.includes(flow);
    const named = from.length === 0 ? all : all.filter((other) => from.includes(other) || wasLetIn(other));
    return named.filter((other) => other !== own || isShared(own)).map(id);
  };
  const flows: DeclaredFlow[] = [];
  const add = (owner: string, own: string, endpoints: Readonly<Record<string, Endpoint>>, guest?: string) => {
    for (const [name, endpoint] of Object.entries(endpoints)) {
      const flow = `${app}/${owner}/${name}`;
      const from = origins(endpoint, own, flow);
      if (from.length === 0) continue;
      const all = guest === undefined ? everMade(application, owner, name, endpoint) : [endpoint];
      for (const { protocol, port } of portsOf(all))
        flows.push({
          ...{ id: flow, from, to: id(own), protocol, port },
          ...(guest ? { guest } : {}),
        });
    }
  };
  for (const [role, { endpoints, mesh }] of Object.entries({ ...service.roles, ...retired })) {
    if (mesh) flows.push({ id: id(role), from: [id(role)], to: id(role), protocol: 'any', port: 0 });
    add(role, role, endpoints);
  }
  for (const [name, machine] of Object.entries({ ...retiredMachines, ...service.machines }))
    add(name, networkNameOf(machine), machine.endpoints ?? {}, id(name));
  return flows;
}

/** Each once: where an endpoint answers, beside what it did before. */
function portsOf(endpoints: readonly Endpoint[]): readonly Pick<DeclaredFlow, 'protocol' | 'port'>[] {
  const ports = endpoints.map(({ protocol, targetPort }) => ({
    ...{ protocol: protocol === 'udp' ? ('udp' as const) : ('tcp' as const), port: targetPort },
  }));
  return [...new Map(ports.map((each) => [`${each.protocol} ${each.port}`, each])).values()];
}

/**
 * Subnet → other ends of the flows that it is an end of, and `edge`; itself where machines on it reach each other by their endpoints. A
 * mesh's own end is none: nothing of it passes a router.
 */
export const counterparts = (application: ApplicationRecord): ReadonlyMap<string, ReadonlySet<string>> =>
  derived(application, pair);

function pair(application: ApplicationRecord): ReadonlyMap<string, ReadonlySet<string>> {
  const pairs = new Map<string, Set<string>>();
  const add = (one: string, other: string) => pairs.set(one, (pairs.get(one) ?? new Set()).add(other));
  for (const { from, to, guest } of flowsOf(application))
    for (const origin of from) {
      if (origin === to && guest === undefined) continue;
      add(origin, to);
      add(to, origin);
    }
  return pairs;
}
