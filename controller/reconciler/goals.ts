import { blobsOf, type Goal, type VmGoal, type Workload } from '../../agent/protocol/index.ts';
import { certifiedFromMs } from '../model/host-certificates.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { Endpoint, Role } from '../model/service.ts';
import { arrivingView } from '../model/successor.ts';
import { backupTasksFor } from './backup-tasks.ts';
import { derived } from './derived.ts';
import { asMade, endpointsAsMade } from './former-endpoints.ts';
import { isPresent } from './guest-places.ts';
import { LastMade } from './last-made.ts';
import { viewOf } from './listed-map.ts';
import { address6Of, networkPartsOf } from './network-goals.ts';
import { roleOf } from './retired.ts';
import { unfoundOf } from './shared-pools.ts';
import type { SpareImages } from './spare-hosts.ts';
import type { World } from './world.ts';

type GoalWorld = Pick<
  World,
  | 'fleet'
  | 'applications'
  | 'networks'
  | 'tombstones'
  | 'hosts'
  | 'vms'
  | 'backups'
  | 'certificates'
  | 'challenges'
> & {
  /** Those of `vms` that are machines on pools that hosts share; absent: they are looked for. */
  readonly sharedMachines?: readonly VmRecord[];
  /** Those of `vms` that move while they run; absent: they are looked for. */
  readonly moving?: readonly VmRecord[];
  /** Absent: there are none. */
  readonly spares?: SpareImages;
};

/** What one host should have: the whole truth, made from records alone. @param vms the VMs placed on this host. */
export function goalOf(
  host: string,
  vms: readonly VmRecord[],
  peersOf: (app: string) => Peers,
  world: GoalWorld,
): Omit<Goal, 'revision' | 'atMs'> {
  const present = vms.filter(isPresent);
  const arriving = arrivingOn(host, world);
  const goals = present.flatMap((record) => {
    const application = world.applications.get(record.app);
    return application ? [vmGoalOf(record, application, peersOf(record.app), world)] : [];
  });
  return {
    type: 'goal',
    fleet: world.fleet.uuid,
    epoch: world.fleet.epoch,
    vms: goals.sort((one, other) => (one.id < other.id ? -1 : 1)),
    ...networkPartsOf(host, [...present, ...arriving], world),
    prefetch: prefetchFor(host, world),
    tombstones: tombstonesOf(host, vms, world),
    superseded: supersededOn(host, present, world),
    ...copiedAwayFrom(host, present, world),
    ...rebootOf(world.hosts.get(host)),
    backups: backupTasksFor(host, world),
    ...handOvers(present, arriving, peersOf, world),
    ...unfoundBy(world.hosts.get(host)),
  };
}

/** Whom it is to look for in the pools that it shares. */
function unfoundBy(host: HostRecord | undefined): Pick<Goal, 'unfound'> {
  const unfound = unfoundOf(host);
  return Object.keys(unfound).length === 0 ? {} : { unfound };
}

const arrivingOn = (host: string, world: GoalWorld): readonly VmRecord[] =>
  [...(world.moving ?? world.vms.values())].flatMap((record) => {
    const arriving = record.successor?.host === host ? arrivingView(record) : null;
    return arriving ?? [];
  });

/** Machines that come here, or leave, while they run; both hosts know each other by their certificates. The one that gives hears of it when the one that takes is ready. */
function handOvers(
  present: readonly VmRecord[],
  arriving: readonly VmRecord[],
  peersOf: (app: string) => Peers,
  world: GoalWorld,
): Pick<Goal, 'incoming' | 'outgoing' | 'measured'> {
  const incoming = arriving.flatMap((view) => {
    const application = world.applications.get(view.app);
    const from = world.vms.get(view.id)?.host;
    const { copy, standsStill } = world.vms.get(view.id)?.successor?.live ?? {};
    // What is to be made for it is not known yet.
    if (!application || !from || copy?.disk === null) return [];
    const here = world.hosts.get(from);
    const certified = here ? { certifiedFromMs: certifiedFromMs(here) } : {};
    const vm = vmGoalOf(view, application, peersOf(view.app), world);
    const how = { ...(copy ? { disk: copy.disk } : {}), ...(standsStill ? { standsStill } : {}) };
    return [{ vm, from, ...certified, ...how }];
  });
  const outgoing = present.flatMap(({ id, successor }): NonNullable<Goal['outgoing']> => {
    const live = successor?.live;
    if (!successor || !live?.files || live.state === 'preparing') return [];
    const { host: to, incarnation } = successor;
    const order = live.state === 'moving' ? 'move' : 'stop';
    const there = world.hosts.get(to);
    const direct = live.direct && there ? { ...live.direct, certifiedFromMs: certifiedFromMs(there) } : null;
    return [
      {
        ...{ id, incarnation, to, order, resume: live.resume, files: live.files },
        ...(direct ? { direct } : {}),
        ...(live.copy ? { copiesDisk: true } : {}),
        ...(live.standsStill ? { standsStill: true } : {}),
      },
    ];
  });
  const measured = present.flatMap(({ id, successor }) =>
    successor?.live?.copy?.disk === null ? [{ id, incarnation: successor.incarnation }] : [],
  );
  return {
    ...(incoming.length === 0 ? {} : { incoming }),
    ...(outgoing.length === 0 ? {} : { outgoing }),
    ...(measured.length === 0 ? {} : { measured }),
  };
}

/** Only while it is empty, and of no other boot than the one that was asked to end. */
function rebootOf(host: HostRecord | undefined): Pick<Goal, 'reboot'> {
  const asked = host?.mode === 'maintenance' && host.rebootOf === host.bootId ? host.rebootOf : null;
  return asked == null ? {} : { reboot: asked };
}

/** A deleted machine's disk, and instances on their way out: they need no quarantine. */
function tombstonesOf(host: string, vms: readonly VmRecord[], world: GoalWorld): Goal['tombstones'] {
  const machines = [...world.tombstones.values()].filter((tombstone) => tombstone.host === host);
  const instances = vms.filter((record) => record.deleting && record.kind !== 'machine');
  return [
    ...machines.map(({ id, upToIncarnation }) => ({ id, upToIncarnation })),
    ...instances
      .filter(({ incarnation }) => incarnation > 0)
      .map(({ id, incarnation }) => ({ id, upToIncarnation: incarnation })),
  ].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/**
 * What instances are made of that live elsewhere, and machines on a pool that this host has too: when they must go on here, nothing is to
 * be fetched.
 */
function prefetchFor(host: string, world: GoalWorld): Goal['prefetch'] {
  const pools = new Set((world.hosts.get(host)?.offer?.pools ?? []).flatMap(({ id }) => id ?? []));
  const wanted = new Map<string, Goal['prefetch'][number]>();
  for (const { kind, poolId, image, host: home, deleting } of world.sharedMachines ?? world.vms.values()) {
    if (kind !== 'machine' || deleting || !image || home === host || poolId === null || !pools.has(poolId))
      continue;
    for (const blob of blobsOf(image)) wanted.set(blob.digest, blob);
  }
  for (const blob of world.spares?.get(host) ?? []) wanted.set(blob.digest, blob);
  return [...wanted.values()].sort((one, other) => (one.digest < other.digest ? -1 : 1));
}

const supersededOn = (host: string, present: readonly VmRecord[], world: GoalWorld): Goal['superseded'] =>
  endedElsewhere(world.hosts.get(host)?.superseded ?? {}, present);

function copiedAwayFrom(
  host: string,
  present: readonly VmRecord[],
  world: GoalWorld,
): Pick<Goal, 'copiedAway'> {
  const copiedAway = endedElsewhere(world.hosts.get(host)?.copiedAway ?? {}, present);
  return copiedAway.length === 0 ? {} : { copiedAway };
}

/** VM id → highest incarnation that is over here, of those that are not here again. */
function endedElsewhere(
  ended: Readonly<Record<string, number>>,
  present: readonly VmRecord[],
): Goal['superseded'] {
  const here = new Set(present.map(({ id }) => id));
  return Object.entries(ended)
    .filter(([id]) => !here.has(id))
    .map(([id, upToIncarnation]) => ({ id, upToIncarnation }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** By the record of each VM. */
const lastGoals = new LastMade<VmRecord, VmGoal>();

function vmGoalOf(record: VmRecord, application: ApplicationRecord, peers: Peers, world: GoalWorld): VmGoal {
  const network = world.networks.get(record.networkId);
  const madeFrom = [application, peers, network?.number, network?.cidr, world.fleet];
  return lastGoals.of(record, madeFrom, () => makeVmGoal(record, application, peers, world));
}

function makeVmGoal(
  record: VmRecord,
  application: ApplicationRecord,
  peers: Peers,
  world: Pick<GoalWorld, 'networks' | 'fleet'>,
): VmGoal {
  const { image, size } = record;
  if (!image) throw new TypeError(`${record.id} is placed without an image`);
  const role = record.role === null ? null : (roleOf(application, record.role) ?? null);
  return {
    id: record.id,
    app: record.app,
    role: record.role,
    index: record.index,
    kind: record.kind,
    incarnation: record.incarnation,
    power: record.power,
    rebootGeneration: record.rebootFrom ?? record.rebootGeneration,
    image,
    size: {
      cpus: size.cpus,
      memoryMiB: size.memoryMiB,
      diskMiB: size.diskMiB,
      ...(size.cpuQuotaPercent === null ? {} : { cpuQuotaPercent: size.cpuQuotaPercent }),
    },
    pool: record.pool,
    diskIncarnation: record.diskIncarnation,
    ...(record.kind === 'machine' ? { knownToLeave: record.highestIncarnation ?? 0 } : {}),
    ...(record.restore ? { restore: record.restore } : {}),
    nic: {
      ...{ networkId: record.networkId, mac: record.mac, address: record.address },
      ...address6Of(record, world),
    },
    workload: workloadOf(role, record, application),
    peers,
  };
}

/** A machine runs what its owner puts in it. */
const NOTHING: Workload = { startup: [], package: null, start: null, env: {}, site: null, endpoints: [] };

function workloadOf(role: Role | null, record: VmRecord, application: ApplicationRecord): Workload {
  if (!role) return NOTHING;
  const endpoints = Object.entries(endpointsAsMade(application, record, role.endpoints)).map(
    ([name, endpoint]) => guestsEndpoint(name, endpoint),
  );
  const listening = endpoints.find((endpoint) => endpoint.type === 'input') ?? endpoints[0];
  const shared = application.service.package;
  return {
    startup: role.startup.map((task, index) => ({
      name: `startup-${index + 1}`,
      run: task.run,
      kind: task.kind,
      timeoutMs: task.timeoutMs,
      retries: task.retries,
      env: {},
    })),
    package: role.package
      ? { ...role.package, folder: null }
      : shared && record.role !== null
        ? { ...shared, folder: record.role }
        : null,
    start: role.start,
    env: { ...role.env },
    site:
      role.site && listening
        ? {
            ...(role.site.root === null ? {} : { root: role.site.root }),
            ...(role.site.proxyPort === null ? {} : { proxyPort: role.site.proxyPort }),
            port: listening.targetPort,
            ...(listening.proxyProtocol ? { proxyProtocol: true } : {}),
          }
        : null,
    endpoints,
  };
}

/** What of an endpoint the guest's own host looks at, and sets up: how it is published is a load balancer's business. */
const guestsEndpoint = (name: string, endpoint: Endpoint): Workload['endpoints'][number] => ({
  name,
  type: endpoint.type === 'internal' ? 'internal' : 'input',
  protocol: endpoint.protocol === 'http' ? 'http' : 'tcp',
  port: endpoint.port,
  targetPort: endpoint.targetPort,
  from: [...endpoint.from],
  ...(endpoint.probe ? { probe: endpoint.probe } : {}),
  ...(endpoint.proxyProtocol === true ? { proxyProtocol: true } : {}),
});

const hasEndpoints = ({ service }: ApplicationRecord): boolean =>
  Object.values(service.roles).some(({ endpoints }) => Object.keys(endpoints).length > 0);

export type Peers = Readonly<Record<string, string[]>>;

type Instance = Pick<VmRecord, 'app' | 'role' | 'address' | 'definition'>;

const readyPart = ({ app, role, state, address, definition }: VmRecord): Instance | null =>
  role !== null && state === 'ready' ? { app, role, address, definition } : null;

const noAnswers = (): WeakMap<ApplicationRecord, Peers> => new WeakMap();

/**
 * Addresses of an application's ready instances by `role/endpoint`: the same object for as long as the same instances are ready.
 * @param vms all of the fabric's, or the application's.
 */
export function peersOf(
  application: ApplicationRecord | undefined,
  vms: ReadonlyMap<string, VmRecord>,
): Peers {
  if (!application || !hasEndpoints(application)) return NO_PEERS;
  const instances = viewOf(vms, readyPart);
  const answers = derived(instances, noAnswers);
  const peers = answers.get(application) ?? collectPeers(application, instances);
  answers.set(application, peers);
  return peers;
}

const NO_PEERS: Peers = {};

function collectPeers(application: ApplicationRecord, instances: readonly (Instance | null)[]): Peers {
  const { name, service } = application;
  const peers: Record<string, string[]> = {};
  for (const instance of instances) {
    if (instance?.app !== name) continue;
    const { role, address } = instance;
    for (const [endpoint, declared] of Object.entries(service.roles[role ?? '']?.endpoints ?? {})) {
      const { targetPort } = asMade(application, instance, endpoint, declared);
      const known = peers[`${role}/${endpoint}`];
      if (known) known.push(`${address}:${targetPort}`);
      else peers[`${role}/${endpoint}`] = [`${address}:${targetPort}`];
    }
  }
  for (const addresses of Object.values(peers)) addresses.sort();
  return peers;
}
