import type { ApplicationRecord, HostRecord, NetworkRecord, VmRecord } from '../model/records.ts';
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
  JSON.stringify([host?.superseded, host?.offer?.pools.map(({ id }) => id)]);

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
    if (kind === 'tombstones' || (kind === 'vms' && hasChanged(goalPart as Part, before, after)))
      for (const record of [before, after]) {
        const host = (record as { host?: string | null } | undefined)?.host;
        if (host) hosts.add(host);
      }
    const part = SHOWN_ELSEWHERE[kind];
    if (part && hasChanged(part, before, after)) applications.add(key.split('/')[0] ?? key);
  }
  if (applications.size > 0)
    for (const vm of cache.records('vms').values())
      if (vm.host !== null && applications.has(vm.app)) hosts.add(vm.host);
  return hosts;
}
