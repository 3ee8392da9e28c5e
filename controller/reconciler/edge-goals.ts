import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { Backend, EdgeGoal, Probe, PublishedEndpoint } from '../../agent/protocol/index.ts';
import { isApart, type PublicAddress } from '../model/public-address.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { Endpoint } from '../model/service.ts';
import { derived } from './derived.ts';
import { challengesFor } from './edge-challenges.ts';
import { endpointsOfVm, publishedBy, publishes, reachableEdges, servedAt } from './edge-endpoints.ts';
import { leavingEdges } from './edge-hosts.ts';
import { asMade } from './former-endpoints.ts';
import { listOf } from './listed-map.ts';
import type { NetworkWorld } from './network-world.ts';

type EdgeWorld = Pick<NetworkWorld, 'applications' | 'hosts' | 'vms' | 'certificates' | 'challenges'>;

/** Of the first host; the others have one less each, and each application begins with another one. */
const HIGHEST_PRIORITY = 200;

/** `web-0.3`: an instance and its incarnation. */
export const backendName = (vm: Pick<VmRecord, 'id'>, incarnation: number) => `${nameOf(vm)}.${incarnation}`;

const nameOf = ({ id }: Pick<VmRecord, 'id'>) => id.slice(id.indexOf('/') + 1);

/** What a host serves to the world. Undefined: nothing, for it is no edge host. */
export function edgeGoalOf(host: string, world: EdgeWorld): EdgeGoal | undefined {
  const edges = derived(listOf(world.hosts), reachableEdges);
  const underlay = edges.find(({ name }) => name === host)?.offer?.underlay?.address;
  if (underlay === undefined) return undefined;
  const vms = derived(listOf(world.vms), vmsByApplication);
  const applications = derived(listOf(world.applications), publishing).filter(
    // One that is deleted is served for as long as connections to it may end in their own time.
    ({ name, deleting }) => !deleting || vms.get(name)?.some(isEnding),
  );
  const endpoints = applications.flatMap((application) =>
    endpointsOf(application, [underlay], vms.get(application.name) ?? []),
  );
  // Others go on listening to one that leaves, until it has said that it has an address no more.
  const shared = leavingEdges(edges).has(host) ? [] : applications.flatMap(sharedBy);
  return {
    addresses: shared.map((each) => ({
      ...each,
      priority: priorityOf(host, edges, each.routerId),
      peers: peersOf(host, edges),
    })),
    endpoints,
    ...certificatesOf(endpoints, world.certificates),
    ...challengesFor(endpoints, world.challenges),
  };
}

/** Those that the controller keeps, of what these endpoints name. */
function certificatesOf(
  endpoints: readonly PublishedEndpoint[],
  certificates: EdgeWorld['certificates'],
): Pick<EdgeGoal, 'certificates'> {
  const names = new Set(endpoints.flatMap(({ certificate }) => certificate ?? []));
  const kept = [...names].sort().flatMap((name) => {
    const digest = certificates?.get(name)?.kept?.digest;
    return digest === undefined ? [] : [{ name, digest }];
  });
  return kept.length === 0 ? {} : { certificates: kept };
}

/** Its own address, and those of its public machines. That of a machine that is on its way out is kept for it, and served no more. */
const sharedBy = (application: ApplicationRecord): readonly PublicAddress[] => [
  ...(application.public ? [application.public] : []),
  ...Object.entries(application.publicMachines ?? {}).flatMap(([machine, address]) =>
    isApart(application, machine) ? [address] : [],
  ),
];

const publishing = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications.filter(publishes).sort((one, other) => (one.name < other.name ? -1 : 1));

/** Also what has not begun to drain yet: an application is deleted before its VMs are. */
export const isEnding = ({ state, deleting }: VmRecord): boolean =>
  !deleting && (state === 'ready' || state === 'draining');

function vmsByApplication(vms: readonly VmRecord[]): ReadonlyMap<string, readonly VmRecord[]> {
  const byApplication = new Map<string, VmRecord[]>();
  for (const vm of vms) {
    const those = byApplication.get(vm.app);
    if (those) those.push(vm);
    else byApplication.set(vm.app, [vm]);
  }
  return byApplication;
}

/**
 * Every endpoint of the application, with those that serve it; of instances that have one each, one for each that there is.
 * @param own where endpoints are served that have no public address.
 */
export function endpointsOf(
  application: ApplicationRecord,
  own: readonly string[],
  vms: readonly VmRecord[],
): PublishedEndpoint[] {
  const endpoints = new Map<string, PublishedEndpoint>();
  const add = (owner: string, id: string, port: number, endpoint: Endpoint) => {
    const known = endpoints.get(id) ?? asPublished(id, servedAt(application, owner, own), port, endpoint);
    endpoints.set(id, known);
    return known;
  };
  for (const { owner, name, endpoint } of publishedBy(application))
    if (endpoint.type === 'input')
      add(owner, `${application.name}/${owner}/${name}`, endpoint.port, endpoint);
  for (const vm of vms)
    for (const { id, port, name, endpoint } of endpointsOfVm(application, vm))
      takeIn(add(vm.role ?? nameOf(vm), id, port, endpoint), vm, name, endpoint, application);
  for (const { backends } of endpoints.values())
    backends.sort((one, other) => (one.name < other.name ? -1 : 1));
  return [...endpoints.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Backends are looked at in one way: where they were made to be looked at in several, by a connection. */
function takeIn(
  published: PublishedEndpoint,
  vm: VmRecord,
  name: string,
  today: Endpoint,
  application: ApplicationRecord,
): void {
  const made = (definition: string) => asMade(application, { role: vm.role, definition }, name, today);
  const { probe } = published;
  for (const { endpoint, ...backend } of backendsOf(vm, made)) {
    const proxyProtocol = endpoint.proxyProtocol === true;
    published.backends.push({
      ...backend,
      ...(proxyProtocol === published.proxyProtocol ? {} : { proxyProtocol }),
    });
    if (probe && !isSameDocument(checkOf(endpoint), checkOf(today)))
      published.probe = { ...probe, check: BY_CONNECTION };
  }
}

const BY_CONNECTION = { type: 'tcp' } as const;

/** By what a load balancer looks whether it is there: what runs in the guest cannot be asked from outside. */
const checkOf = ({ probe }: Endpoint): Probe['check'] =>
  probe === undefined || probe.check.type === 'exec' ? BY_CONNECTION : probe.check;

const asPublished = (
  id: string,
  addresses: readonly string[],
  port: number,
  endpoint: Endpoint,
): PublishedEndpoint => ({
  id,
  addresses: [...addresses],
  port,
  protocol: endpoint.protocol === 'http' ? 'http' : 'tcp',
  ...(endpoint.certificate === undefined ? {} : { certificate: endpoint.certificate }),
  proxyProtocol: endpoint.proxyProtocol === true,
  ...(endpoint.drainMs === undefined ? {} : { drainMs: endpoint.drainMs }),
  ...(endpoint.limit === undefined ? {} : { limit: endpoint.limit }),
  ...(endpoint.probe === undefined || endpoint.probe.check.type === 'exec' ? {} : { probe: endpoint.probe }),
  backends: [],
});

/**
 * A VM that is ready or on its way out, and what is to take its place once that is ready. An instance that was ready on a host that is not
 * heard, with too many others for it to be made anew: whether it answers is for the load balancers to see.
 * @param made definition → the endpoint, as what is made from it answers.
 */
export function backendsOf(
  vm: VmRecord,
  made: (definition: string) => Endpoint,
): readonly (Backend & { readonly endpoint: Endpoint })[] {
  const { state, successor, deleting, role } = vm;
  const backends: (Backend & { readonly endpoint: Endpoint })[] = [];
  const add = (
    { definition, incarnation, address }: Pick<VmRecord, 'definition' | 'incarnation' | 'address'>,
    as: Backend['state'],
  ) => {
    const endpoint = made(definition);
    const name = backendName(vm, incarnation);
    backends.push({ name, address, port: endpoint.targetPort, state: as, endpoint });
  };
  const served =
    state === 'unknown' && role !== null && vm.readyAtMs !== null
      ? 'ready'
      : state === 'ready' || state === 'draining'
        ? state
        : null;
  if (served !== null && !deleting) add(vm, served);
  // A machine has one address, wherever it is.
  if (role !== null && successor?.state === 'ready') add(successor, 'ready');
  return backends;
}

const peersOf = (host: string, edges: readonly HostRecord[]): string[] =>
  edges.flatMap(({ name, offer }) => (name !== host && offer?.underlay ? [offer.underlay.address] : []));

/** Addresses are spread over the hosts while all of them are there. */
function priorityOf(host: string, edges: readonly HostRecord[], routerId: number): number {
  const place = edges.findIndex(({ name }) => name === host);
  return Math.max(1, HIGHEST_PRIORITY - ((place + routerId) % edges.length));
}
