import type { Records } from './records.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Exactly what the applications declare is ready and runs where its record says, once, and nothing else runs or lies anywhere. */
export function convergedUnder({ applications, vms }: Records, hosts: readonly SimulatedHost[]): boolean {
  const declared = applications.flatMap(({ name, service }) => [
    ...Object.keys(service.machines).map((machine) => `${name}/${machine}`),
    ...Object.entries(service.roles).flatMap(([role, { instances }]) =>
      Array.from({ length: instances }, (_, index) => `${name}/${role}-${index}`),
    ),
  ]);
  if (
    vms.some(({ successor }) => successor?.live) ||
    hosts.some(({ stillCopies, shutOutCopies }) => stillCopies.size + shutOutCopies.size > 0)
  )
    return false;
  const ids = vms.map(({ id }) => id);
  if (declared.sort().join() !== ids.sort().join()) return false;
  if (vms.some(({ state, deleting }) => state !== 'ready' || deleting)) return false;
  const wanted = vms.map(({ id, incarnation, host }) => `${host} ${id}@${incarnation}`);
  const running = hosts.flatMap(({ name, domains }) =>
    [...domains.values()].map(({ vmId, incarnation }) => `${name} ${vmId}@${incarnation}`),
  );
  const overlays = hosts.flatMap(({ name, overlays: own }) => [...own].map((key) => `${name} ${key}`));
  const instances = vms
    .filter(({ role }) => role !== null)
    .map(({ id, incarnation, host }) => `${host} ${id}@${incarnation}`);
  return wanted.sort().join() === running.sort().join() && instances.sort().join() === overlays.sort().join();
}
