import type { Backend, EdgeGoal, Goal, PublishedEndpoint } from '../../agent/protocol/index.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { Role } from '../model/service.ts';
import { derived } from './derived.ts';
import { edgeHosts, hasInputEndpoints, type InputEndpoint, inputEndpointsOf } from './edge-hosts.ts';
import { listOf } from './listed-map.ts';

interface EdgeWorld {
  readonly applications: ReadonlyMap<string, ApplicationRecord>;
  readonly hosts: ReadonlyMap<string, HostRecord>;
  readonly vms: ReadonlyMap<string, VmRecord>;
}

/** Of the first host; the others have one less each, and each application begins with another one. */
const HIGHEST_PRIORITY = 200;

export const endpointIdOf = (app: string, role: string, endpoint: string) => `${app}/${role}/${endpoint}`;

/** `web-0.3`: an instance and its incarnation. */
export const backendName = ({ id }: Pick<VmRecord, 'id'>, incarnation: number) =>
  `${id.slice(id.indexOf('/') + 1)}.${incarnation}`;

/** What a host serves to the world; nothing, where it is no edge host. */
export function edgeGoalFor(host: string, world: EdgeWorld): Pick<Goal, 'edge'> {
  const edges = derived(listOf(world.hosts), edgeHosts);
  const underlay = edges.find(({ name }) => name === host)?.offer?.underlay?.address;
  if (underlay === undefined) return {};
  const applications = derived(listOf(world.applications), publishing);
  const instances = derived(listOf(world.vms), instancesByApplication);
  return {
    edge: {
      addresses: applications.flatMap(({ public: shared }) =>
        shared
          ? [{ ...shared, priority: priorityOf(host, edges, shared.routerId), peers: peersOf(host, edges) }]
          : [],
      ),
      endpoints: applications.flatMap((application) =>
        endpointsOf(
          application,
          [application.public?.address ?? underlay],
          instances.get(application.name) ?? [],
        ),
      ),
    },
  };
}

const publishing = (applications: readonly ApplicationRecord[]): readonly ApplicationRecord[] =>
  applications
    .filter((application) => !application.deleting && hasInputEndpoints(application))
    .sort((one, other) => (one.name < other.name ? -1 : 1));

function instancesByApplication(vms: readonly VmRecord[]): ReadonlyMap<string, readonly VmRecord[]> {
  const byApplication = new Map<string, VmRecord[]>();
  for (const vm of vms) {
    if (vm.role === null) continue;
    const those = byApplication.get(vm.app);
    if (those) those.push(vm);
    else byApplication.set(vm.app, [vm]);
  }
  return byApplication;
}

function endpointsOf(
  { name: app, service }: ApplicationRecord,
  addresses: readonly string[],
  instances: readonly VmRecord[],
): EdgeGoal['endpoints'] {
  return Object.entries(service.roles).flatMap(([role, made]) =>
    inputEndpointsOf(made).map(([name, endpoint]) => ({
      id: endpointIdOf(app, role, name),
      addresses: [...addresses],
      port: endpoint.port,
      protocol: endpoint.protocol,
      ...(endpoint.certificate === undefined ? {} : { certificate: endpoint.certificate }),
      proxyProtocol: endpoint.proxyProtocol === true,
      ...probeOf(made, endpoint),
      backends: instances
        .filter((vm) => vm.role === role)
        .flatMap((vm) => backendsOf(vm, endpoint.targetPort))
        .sort((one, other) => (one.name < other.name ? -1 : 1)),
    })),
  );
}

/** What runs in the guest cannot be asked from outside. */
function probeOf(_role: Role, { probe }: InputEndpoint): Pick<PublishedEndpoint, 'probe'> {
  return probe === undefined || probe.check.type === 'exec' ? {} : { probe };
}

/** An instance that is ready or on its way out, and what is to take its place once that is ready. */
export function backendsOf(vm: VmRecord, port: number): readonly Backend[] {
  const { state, address, incarnation, successor, deleting } = vm;
  const own = state === 'ready' || state === 'draining';
  return [
    ...(own && !deleting
      ? [
          {
            name: backendName(vm, incarnation),
            address,
            port,
            state: state === 'ready' ? state : 'draining',
          } as const,
        ]
      : []),
    ...(successor?.state === 'ready'
      ? [
          {
            name: backendName(vm, successor.incarnation),
            address: successor.address,
            port,
            state: 'ready',
          } as const,
        ]
      : []),
  ];
}

const peersOf = (host: string, edges: readonly HostRecord[]): string[] =>
  edges.flatMap(({ name, offer }) => (name !== host && offer?.underlay ? [offer.underlay.address] : []));

/** Addresses are spread over the hosts while all of them are there. */
function priorityOf(host: string, edges: readonly HostRecord[], routerId: number): number {
  const place = edges.findIndex(({ name }) => name === host);
  return Math.max(1, HIGHEST_PRIORITY - ((place + routerId) % edges.length));
}
