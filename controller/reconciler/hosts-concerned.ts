import type {
  ApplicationRecord,
  BackupRecord,
  HostRecord,
  NetworkRecord,
  VmRecord,
} from '../model/records.ts';
import type { Kind } from './world.ts';
import type { WorldCache } from './world-cache.ts';

type Changed = ReturnType<WorldCache['apply']>;
type Part = (record: never) => unknown;

/** What of a record is in other goals than that of its own host. What stays the same there concerns nobody else. */
const SHOWN_ELSEWHERE: { readonly [K in Kind]?: Part } = {
  // Its address is in its peers' goals while it is ready.
  vms: ({ role, state, address }: VmRecord) => (role !== null && state === 'ready' ? address : null),
  // How many there are of a role shows in their own records.
  applications: ({ service }: ApplicationRecord) => ({
    ...service,
    roles: Object.entries(service.roles).map(([name, role]) => [name, { ...role, instances: 0 }]),
  }),
  networks: ({ number, cidr, gateway }: NetworkRecord) => [number, cidr, gateway],
};

/** What of a machine on a shared pool concerns hosts that it is not on; null: it is none. */
const sharedPart = (vm: VmRecord | undefined): string | null =>
  vm?.kind !== 'machine' || vm.poolId === null
    ? null
    : JSON.stringify([vm.host, vm.poolId, vm.deleting, vm.image]);

/** What of a VM's record is in its own host's goal: where it is on its way, and what it went through, is not. */
const goalPart = (vm: VmRecord): string => {
  const { state: _state, attempt: _attempt, stateSinceMs: _since, readyAtMs: _ready, ...rest } = vm;
  const {
    phase: _phase,
    steps: _steps,
    tasks: _tasks,
    overlay: _overlay,
    restarts: _restarts,
    ...made
  } = rest;
  const { failure: _failure, failures: _failures, failedOn: _on, retryAtMs: _retry, ...wanted } = made;
  const { placement: _placement, ...goal } = wanted;
  return JSON.stringify(goal);
};

/** What of a host's record is in its own goal. */
const hostPart = (host: HostRecord | undefined): string =>
  JSON.stringify([
    ...[host?.superseded, host?.offer?.pools.map(({ id }) => id)],
    ...[host?.mode, host?.rebootOf, host?.bootId],
  ]);

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

const hasChanged = (part: Part, before: unknown, after: unknown): boolean =>
  before === undefined ||
  after === undefined ||
  JSON.stringify(part(before as never)) !== JSON.stringify(part(after as never));

/** Hosts whose goals may be other ones after these changes, which are in the cache already. */
export function hostsConcerned(changes: Changed, cache: WorldCache): ReadonlySet<string> {
  const hosts = new Set<string>();
  const applications = new Set<string>();
  for (const { kind, key, before, after } of changes) {
    if (kind === 'hosts' && hostPart(before as HostRecord) !== hostPart(after as HostRecord)) hosts.add(key);
    // Other hosts may have to take such a machine over, and make ready for it.
    if (kind === 'vms' && sharedPart(before as VmRecord) !== sharedPart(after as VmRecord))
      for (const host of cache.records('hosts').keys()) hosts.add(host);
    if (kind !== 'vms' || hasChanged(goalPart as Part, before, after))
      for (const record of [before, after]) for (const host of namedIn(kind, record)) hosts.add(host);
    const part = SHOWN_ELSEWHERE[kind];
    if (part && hasChanged(part, before, after)) applications.add(key.split('/')[0] ?? key);
  }
  if (applications.size > 0)
    for (const vm of cache.records('vms').values())
      if (applications.has(vm.app)) for (const host of namedIn('vms', vm)) hosts.add(host);
  return hosts;
}
