import type { SimulatedHost } from '../simulated-host.ts';
import type { DiskContents } from './disk-contents.ts';
import type { Fabric, Rule } from './rule.ts';

/** A machine runs on one host at most, and has its disk on no other host's own pool: half a copy of it, and what it had before, are none. */
export class MachinesOnOneHost implements Rule {
  readonly #fabric: Fabric;
  readonly #contents: DiskContents;
  readonly #hostsOf = new Map<string, Set<string>>();
  readonly #seenOn = new Map<string, ReadonlySet<string>>();

  constructor(fabric: Fabric, contents: DiskContents) {
    this.#fabric = fabric;
    this.#contents = contents;
  }

  #isOn(name: string, id: string): boolean {
    const host = this.#fabric.hosts.get(name);
    if (host === undefined || !machinesOn(host, this.#contents).has(id)) return false;
    return !isCopiedFrom(id, host, this.#fabric.hosts.values());
  }

  hostChanged(host: SimulatedHost): void {
    const now = machinesOn(host, this.#contents);
    const before = this.#seenOn.get(host.name) ?? new Set();
    this.#seenOn.set(host.name, now);
    for (const id of before) if (!now.has(id)) this.#hostsOf.get(id)?.delete(host.name);
    for (const id of now) {
      if (before.has(id)) continue;
      const on = this.#hostsOf.get(id) ?? new Set();
      this.#hostsOf.set(id, on.add(host.name));
      // What another host has may have become an old disk by what runs here now.
      for (const name of on.size > 1 ? [...on] : []) if (!this.#isOn(name, id)) on.delete(name);
      if (on.size > 1) this.#fabric.violated(onTwoHosts(id, on));
    }
  }
}

/** Machines that run on a host, or have their disks on its own pool. */
export function machinesOn(
  { domains, local }: SimulatedHost,
  contents: Pick<DiskContents, 'isCurrent'>,
): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [vmId, disk] of local.machines) if (contents.isCurrent(vmId, disk)) found.add(vmId);
  for (const { vmId, kind } of domains.values()) if (kind === 'machine') found.add(vmId);
  return found;
}

/** Nothing runs there, and what lies there lies on another host as well, for a later incarnation: it was copied, and is that one's. */
export function isCopiedFrom(id: string, host: SimulatedHost, hosts: Iterable<SimulatedHost>): boolean {
  const disk = host.local.machines.get(id);
  if (!disk?.written || host.domains.has(id)) return false;
  for (const { local } of hosts) {
    const other = local.machines.get(id);
    if (other?.written === disk.written && other.owner.incarnation > disk.owner.incarnation) return true;
  }
  return false;
}

export const onTwoHosts = (id: string, hosts: Iterable<string>): string =>
  `a machine is never on two hosts: ${id} is on ${[...hosts].join(' and on ')}`;
