import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { ApplicationRecord, HostRecord, VmRecord } from '../model/records.ts';
import { successorView } from '../model/successor.ts';
import { routerPart } from './backbone-goals.ts';
import { counterparts, EDGE } from './flows.ts';
import { isPresent } from './guest-places.ts';
import { edgeHostsOf } from './network-world.ts';
import { roleOf } from './retired.ts';
import { isRival } from './underlay-holders.ts';
import type { WorldCache } from './world-cache.ts';

type Changes = ReturnType<WorldCache['apply']>;

/** Where a guest is reached. */
const placePart = (vm: VmRecord | null): unknown =>
  vm && isPresent(vm) ? [vm.host, vm.address, vm.mac, vm.networkId] : null;

/** What of a VM's record is in goals of other hosts' routers. */
const routedPart = (vm: VmRecord | undefined): unknown =>
  vm && [
    ...[placePart(vm), placePart(successorView(vm))],
    // Endpoints of a machine are its own, wherever it is.
    vm.role === null ? [vm.address, vm.networkId] : null,
  ];

/**
 * Hosts whose goals may say something else of the network after these changes, which are in the cache already: beside those that are
 * concerned by what is theirs, or by their applications; what load balancers and name servers serve is not looked at here.
 */
export function networkConcerned(changes: Changes, cache: WorldCache): ReadonlySet<string> {
  const hosts = new Set<string>();
  const subnets = new Set<string>();
  let areEdges = false;
  const concernAll = () => {
    for (const host of cache.records('hosts').keys()) hosts.add(host);
  };
  for (const { kind, before, after } of changes) {
    if (kind === 'hosts') {
      const [one, other] = [before as HostRecord | undefined, after as HostRecord | undefined];
      if (differ(routerPart, one, other) || isRival(one, other, cache.records('hosts').values()))
        concernAll();
    }
    if (kind === 'applications' || kind === 'networks') areEdges = true;
    if (kind !== 'vms') continue;
    const [one, other] = [before as VmRecord | undefined, after as VmRecord | undefined];
    if (!differ(routedPart, one, other)) continue;
    areEdges = true;
    for (const vm of [one, other]) if (vm) for (const each of joinedWith(vm, cache)) subnets.add(each);
  }
  if (areEdges) for (const host of edgeHostsOf({ hosts: cache.records('hosts') })) hosts.add(host);
  if (subnets.size > 0)
    for (const { networkId, host, successor } of cache.records('vms').values())
      if (subnets.has(networkId)) for (const each of [host, successor?.host]) if (each) hosts.add(each);
  return hosts;
}

const differ = <T>(part: (record: T | undefined) => unknown, before: T | undefined, after: T | undefined) =>
  !isSameDocument(part(before), part(after));

/** Subnets whose guests have something to do with a VM's: its own where it is a mesh, or where flows name machines by their addresses. */
function joinedWith({ app, networkId, role }: VmRecord, cache: WorldCache): readonly string[] {
  const application: ApplicationRecord | undefined = cache.records('applications').get(app);
  if (!application) return [];
  const others = [...(counterparts(application).get(networkId) ?? [])].filter((other) => other !== EDGE);
  const isShown = role === null || roleOf(application, role)?.mesh === true;
  return isShown ? [...others, networkId] : others;
}
