import type { Simulation } from './simulation.ts';

/** All of a fabric, for whoever reads a failure. */
export function describeFabric({ records, hosts, shared }: Simulation): string {
  return [
    ...records.hosts.map(
      ({ name, state, draining, superseded }) =>
        `${name} ${state}${draining ? ' draining' : ''} superseded ${JSON.stringify(superseded)}`,
    ),
    `shared ${JSON.stringify([...shared.owners])}`,
    ...records.vms.map(
      (vm) =>
        `${vm.id}@${vm.incarnation} ${vm.state} on ${vm.host}${vm.successor ? ` next ${JSON.stringify(vm.successor.live ?? null)} on ${vm.successor.host}@${vm.successor.incarnation}` : ''}${vm.deleting ? ' deleting' : ''} ${vm.failure?.message ?? ''}`,
    ),
    ...hosts.map(
      (host) =>
        `${host.name} has ${[...host.domains.values()].map(({ vmId, incarnation }) => `${vmId}@${incarnation}`).join(' ')} still ${[...host.stillCopies].join(' ')} | ${[...host.overlays].join(' ')} | ${[...host.machineDisks].join(' ')}`,
    ),
    `claims ${JSON.stringify([...records.claims].map(([host, { vms: claimed }]) => [host, Object.keys(claimed)]))}`,
    `keys ${records.keys.join(' ')}`,
  ].join('\n');
}
