import { WeftError } from '../../agent/kit/errors.ts';
import { type ApplicationRecord, isToGo, type Service } from '../model/index.ts';
import { MACHINES } from '../model/network-checks.ts';
import type { FleetRecord } from '../model/records.ts';
import { MOST_ADDRESSES } from '../reconciler/addresses.ts';
import { subnetsIn } from '../reconciler/subnet-numbers.ts';
import type { Store } from '../store/contract.ts';
import type { Fabric } from './fabric.ts';

/** Of a role. What its subnet has beyond them is for successors, which have an address of their own until they take over. */
const MOST_INSTANCES = 1_000;

/**
 * Every role and every network of machines has a subnet, and every machine an address of its own for as long as it is there.
 * @throws WeftError `no-capacity`: with this service there would be more subnets than the fleet's range has, or more guests on one than it has
 * addresses for. One that needs no more than it did is not refused.
 */
export async function refuseWithoutSubnets(
  store: Store,
  { vms }: Pick<Fabric, 'vms'>,
  service: Service,
): Promise<void> {
  const applications = (await store.list('apps/')).entries
    .map(({ value }) => value as ApplicationRecord)
    .filter(({ deleting }) => !deleting);
  const before = applications.find(({ name }) => name === service.name)?.service;
  const kept = [...vms.values()].filter((vm) => vm.kind === 'machine' && !isToGo(vm));
  refuseLarge(service, before);
  refuseCrowded(service, before, kept);
  const range = ((await store.get('fleet'))?.value as FleetRecord | undefined)?.range;
  const keptOf = kept.map(({ networkId }) => networkId);
  const known = new Set([...(before ? subnetsOf(before) : []), ...keptOf]);
  const own = subnetsOf(service);
  if (range === undefined || own.every((id) => known.has(id))) return;
  const isOwn = (id: string) => id.startsWith(`${service.name}/`);
  const all = new Set([
    ...own,
    ...keptOf,
    ...applications.filter(({ name }) => name !== service.name).flatMap((each) => subnetsOf(each.service)),
  ]);
  const most = subnetsIn(range);
  if (all.size <= most) return;
  const needs = [...all].filter(isOwn).length;
  throw new WeftError(
    'no-capacity',
    `${service.name} needs ${needs} subnets and all other applications ${all.size - needs}: the fleet's range ${range} has ${most}`,
    {
      remedy:
        'Each role with instances has a subnet, and each network of machines: declare fewer, or begin a fleet with a wider --guest-range.',
    },
  );
}

/** Ids of the subnets that a service needs. */
function subnetsOf({ name, roles, machines }: Service): readonly string[] {
  const own = Object.entries(roles).filter(([, { instances }]) => instances > 0);
  const networks = Object.values(machines).map(({ network = MACHINES }) => network);
  return [...new Set([...own.map(([role]) => role), ...networks])].map((each) => `${name}/${each}`);
}

function refuseLarge({ name, roles }: Service, before: Service | undefined): void {
  for (const [role, { instances }] of Object.entries(roles)) {
    const had = before && Object.hasOwn(before.roles, role) ? (before.roles[role]?.instances ?? 0) : 0;
    if (instances <= MOST_INSTANCES || instances <= had) continue;
    throw new WeftError(
      'no-capacity',
      `${name}/${role} would have ${instances} instances: its subnet has ${MOST_ADDRESSES} addresses, for ${MOST_INSTANCES} and their successors`,
      { remedy: `Declare ${MOST_INSTANCES} or fewer, and another role for the others.` },
    );
  }
}

/** By network, the machines that are declared, and those that are there. */
function refuseCrowded(
  service: Service,
  before: Service | undefined,
  kept: readonly { readonly id: string; readonly networkId: string }[],
): void {
  const there = machinesBy([...declaredMachines(before), ...kept]);
  for (const [network, machines] of machinesBy([...declaredMachines(service), ...kept]))
    if (machines.size > MOST_ADDRESSES && machines.size > (there.get(network)?.size ?? 0))
      throw new WeftError(
        'no-capacity',
        `${network} would have ${machines.size} machines: a network has ${MOST_ADDRESSES} addresses`,
        { remedy: 'Declare another network for some of them.' },
      );
}

const declaredMachines = (service: Service | undefined) =>
  Object.entries(service?.machines ?? {}).map(([name, { network = MACHINES }]) => ({
    id: `${service?.name}/${name}`,
    networkId: `${service?.name}/${network}`,
  }));

function machinesBy(
  all: readonly { readonly id: string; readonly networkId: string }[],
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { id, networkId } of all) found.set(networkId, (found.get(networkId) ?? new Set()).add(id));
  return found;
}
