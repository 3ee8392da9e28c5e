import { isSameDocument } from '../../agent/kit/same-document.ts';
import type {
  ApplicationRecord,
  BackupRecord,
  HostRecord,
  NetworkRecord,
  VmRecord,
} from '../model/records.ts';
import { edgesConcerned } from './edges-concerned.ts';
import { hostsOfNames } from './names-concern.ts';
import { networkConcerned } from './network-concerned.ts';
import { unfoundOf } from './shared-pools.ts';
import type { Kind } from './world.ts';
import type { WorldCache } from './world-cache.ts';

type Changed = ReturnType<WorldCache['apply']>;

/** What of a record is in other goals than that of its own host. What stays the same there concerns nobody else. */
const SHOWN_ELSEWHERE: { readonly [K in Kind]?: (record: never, cache: WorldCache) => unknown } = {
  // Its address is in its peers' goals while it is ready, where its role has endpoints.
  vms: ({ app, role, state, address }: VmRecord, cache) =>
    role !== null && state === 'ready' && hasEndpoints(cache, app, role) ? address : null,
  // How many there are of a role shows in their own records.
  applications: ({ service, retired, retiredMachines, retiredFlows, former }: ApplicationRecord) => ({
    ...service,
    ...{ former, retiredFlows },
    retired: [Object.keys(retired ?? {}), Object.keys(retiredMachines ?? {})],
    roles: Object.entries(service.roles).map(([name, role]) => [name, { ...role, instances: 0 }]),
  }),
  networks: ({ number, cidr, gateway }: NetworkRecord) => [number, cidr, gateway],
};

function hasEndpoints(cache: WorldCache, app: string, role: string): boolean {
  const endpoints = cache.records('applications').get(app)?.service.roles[role]?.endpoints;
  return endpoints !== undefined && Object.keys(endpoints).length > 0;
}

/** What of a machine on a shared pool concerns hosts that it is not on; null: it is none. */
const sharedPart = (vm: VmRecord | undefined): unknown =>
  vm?.kind !== 'machine' || vm.poolId === null ? null : [vm.host, vm.poolId, vm.deleting, vm.image];

/** What of a VM's record is not in its own host's goal: where it is on its way, and what it went through. */
const NOT_IN_GOAL: ReadonlySet<string> = new Set<keyof VmRecord>([
  ...(['state', 'attempt', 'stateSinceMs', 'readyAtMs'] as const),
  ...(['phase', 'steps', 'tasks', 'overlay', 'restarts'] as const),
  ...(['failure', 'failures', 'failedOn', 'retryAtMs', 'placement', 'drain', 'deleteRequested'] as const),
]);

function hasSameGoalPart(one: VmRecord, other: VmRecord): boolean {
  for (const record of [one, other])
    for (const each in record) {
      const name = each as keyof VmRecord;
      if (one[name] !== other[name] && !NOT_IN_GOAL.has(name) && !isSameDocument(one[name], other[name]))
        return false;
    }
  return true;
}

/** What of a host's record is in its own goal. */
const hostPart = (host: HostRecord | undefined): unknown => [
  ...[host?.superseded, host?.copiedAway, host?.offer?.pools.map(({ id }) => id)],
  ...[host?.mode, host?.rebootOf, host?.bootId, unfoundOf(host)],
];

/** Certificates that it had before count no more with hosts that hand machines over to it, or take them. */
const joinedAnew = (before: HostRecord | undefined, after: HostRecord | undefined): boolean =>
  before !== undefined && before.joinedAtMs !== after?.joinedAtMs;

/** Of these kinds a record is in the goals of the hosts that it names. */
const NAMED_IN: { readonly [K in Kind]?: (record: never) => readonly unknown[] } = {
  // Where it is, and where it is to be.
  vms: ({ host, successor }: VmRecord) => [host, successor?.host],
  tombstones: ({ host }: { readonly host: string }) => [host],
  // It may be read by another host than the one that made it.
  backups: ({ host, restore }: BackupRecord) => [host, restore?.host],
};

function namedIn(kind: Kind, record: unknown): readonly string[] {
  const hosts = record === undefined ? [] : NAMED_IN[kind]?.(record as never);
  return (hosts ?? []).filter((host) => typeof host === 'string');
}

/** Hosts whose goals may be other ones after these changes, which are in the cache already. */
export function hostsConcerned(changes: Changed, cache: WorldCache): ReadonlySet<string> {
  const hosts = new Set<string>();
  const applications = new Set<string>();
  for (const { kind, key, before, after } of changes) {
    if (kind === 'hosts' && !isSameDocument(hostPart(before as HostRecord), hostPart(after as HostRecord)))
      hosts.add(key);
    if (kind === 'hosts' && joinedAnew(before as HostRecord | undefined, after as HostRecord | undefined))
      for (const vm of cache.records('vms').values())
        if (vm.successor?.live) for (const host of namedIn('vms', vm)) hosts.add(host);
    // Other hosts may have to take such a machine over, and make ready for it.
    if (kind === 'vms' && !isSameDocument(sharedPart(before as VmRecord), sharedPart(after as VmRecord)))
      for (const host of cache.records('hosts').keys()) hosts.add(host);
    if (kind !== 'vms' || !before || !after || !hasSameGoalPart(before as VmRecord, after as VmRecord))
      for (const record of [before, after]) for (const host of namedIn(kind, record)) hosts.add(host);
    const part = SHOWN_ELSEWHERE[kind];
    const shown = (record: unknown) => (record === undefined ? null : part?.(record as never, cache));
    if (part && !isSameDocument(shown(before), shown(after))) applications.add(key.split('/')[0] ?? key);
  }
  if (applications.size > 0)
    for (const vm of cache.records('vms').values())
      if (applications.has(vm.app)) for (const host of namedIn('vms', vm)) hosts.add(host);
  // The order in which hosts are told is theirs.
  for (const concerned of [networkConcerned, hostsOfNames, edgesConcerned])
    for (const host of concerned(changes, cache)) hosts.add(host);
  return hosts;
}
