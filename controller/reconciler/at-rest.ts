import type { HostRecord, VmRecord } from '../model/records.ts';

/** A VM that works and of which nothing is asked: by its record alone, no rule has anything to do with it. */
export const isVmAtRest = (vm: VmRecord): boolean =>
  vm.state === 'ready' &&
  !vm.deleting &&
  !vm.deleteRequested &&
  vm.failures === 0 &&
  vm.moveTo === null &&
  !vm.successor &&
  !vm.stay &&
  !vm.copiedFrom &&
  !vm.landing &&
  !vm.reimageRequested &&
  vm.rebootFrom == null &&
  !vm.restoreRequested &&
  !hasAny(vm.failedOn);

/** The others, in the order of all. To be asked of a draft: `draft.of('vms', restlessVms)`. */
export const restlessVms = (vms: readonly VmRecord[]): readonly VmRecord[] =>
  vms.filter((vm) => !isVmAtRest(vm));

/** VMs by the host that they are on, or that their successor is on. */
export function vmsByHost(vms: readonly VmRecord[]): ReadonlyMap<string, readonly VmRecord[]> {
  const byHost = new Map<string, VmRecord[]>();
  const push = (host: string, vm: VmRecord) => {
    const list = byHost.get(host);
    if (list) list.push(vm);
    else byHost.set(host, [vm]);
  };
  for (const vm of vms) {
    if (vm.host !== null) push(vm.host, vm);
    if (vm.successor && vm.successor.host !== vm.host) push(vm.successor.host, vm);
  }
  return byHost;
}

/** Names of the hosts that are neither down nor proven dead. */
export const livingHosts = (hosts: readonly HostRecord[]): ReadonlySet<string> =>
  new Set(hosts.filter(({ state }) => state !== 'down' && state !== 'fenced').map(({ name }) => name));

/** Those in one state, silent ones for example. */
export const downHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ state }) => state === 'down');

/** Names of those that are to be emptied. */
export const drainingHosts = (hosts: readonly HostRecord[]): ReadonlySet<string> =>
  new Set(hosts.filter(({ draining }) => draining).map(({ name }) => name));

/** Hosts that are to be told of incarnations that are over. */
export const supersedingHosts = (hosts: readonly HostRecord[]): readonly HostRecord[] =>
  hosts.filter(({ superseded }) => hasAny(superseded));

export function hasAny(record: Readonly<Record<string, unknown>>): boolean {
  for (const _name in record) return true;
  return false;
}
