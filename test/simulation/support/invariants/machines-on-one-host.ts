import type { SimulatedHost } from '../simulated-host.ts';
import type { Fabric, Rule } from './rule.ts';

/** A machine runs on one host at most, and has its disk on no other host's own pool. */
export class MachinesOnOneHost implements Rule {
  readonly #fabric: Fabric;
  readonly #hostsOf = new Map<string, Set<string>>();
  readonly #seenOn = new Map<string, ReadonlySet<string>>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  hostChanged(host: SimulatedHost): void {
    const now = machinesOn(host);
    const before = this.#seenOn.get(host.name) ?? new Set();
    this.#seenOn.set(host.name, now);
    for (const id of before) if (!now.has(id)) this.#hostsOf.get(id)?.delete(host.name);
    for (const id of now) {
      if (before.has(id)) continue;
      const on = this.#hostsOf.get(id) ?? new Set();
      this.#hostsOf.set(id, on.add(host.name));
      if (on.size > 1) this.#fabric.violated(onTwoHosts(id, on));
    }
  }
}

/** Machines that run on a host, or have their disks on its own pool. */
export function machinesOn(host: SimulatedHost): ReadonlySet<string> {
  const running = [...host.domains.values()].filter(({ kind }) => kind === 'machine');
  return new Set([...host.machineDisks, ...running.map(({ vmId }) => vmId)]);
}

export const onTwoHosts = (id: string, hosts: Iterable<string>): string =>
  `a machine is never on two hosts: ${id} is on ${[...hosts].join(' and on ')}`;
