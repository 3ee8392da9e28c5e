import type { MachineDisk } from '../simulated-disks.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/**
 * A machine on a host's own pool begins, and goes on after it stood still, with all that was ever written: never with half a copy, never
 * with the disk that it had before it went elsewhere with a copy of that.
 */
export class DiskContents implements Rule {
  readonly #fabric: Fabric;
  /** Machine id → the last time it began to run, as it is in its disk since. */
  readonly #newest = new Map<string, number>();
  readonly #running = new Map<string, ReadonlySet<string>>();
  /** Machine id → the highest incarnation that was ready. */
  readonly #ready = new Map<string, number>();
  #begun = 0;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    for (const id of vms) {
      const vm = this.#fabric.records.vm(id);
      if (vm?.kind === 'machine' && vm.state === 'ready')
        this.#ready.set(id, Math.max(vm.incarnation, this.#ready.get(id) ?? 0));
    }
  }

  hostChanged(host: SimulatedHost): void {
    const before = this.#running.get(host.name) ?? new Set();
    const now = new Set<string>();
    for (const { vmId, kind, incarnation, pool } of host.domains.values()) {
      if (kind !== 'machine' || pool !== 'local') continue;
      const copy = `${vmId}@${incarnation}`;
      now.add(copy);
      if (!before.has(copy)) this.#begins(host, vmId, copy);
    }
    this.#running.set(host.name, now);
  }

  /** The machine's own, or what may become it: not half a copy of it, nor what it had before. */
  isCurrent(vmId: string, { owner, written, arriving }: MachineDisk): boolean {
    const holds = arriving ?? written;
    return owner.copy === undefined && (holds === 0 || holds === (this.#newest.get(vmId) ?? holds));
  }

  /** All of it is here, and stands still. */
  isWhole(vmId: string, disk: MachineDisk | undefined): boolean {
    return disk !== undefined && (disk.arriving ?? disk.written) === this.#newest.get(vmId);
  }

  /** A disk of a machine that is none that it could go on from. */
  oldRemoved(vmId: string, { owner }: MachineDisk): void {
    const vm = this.#fabric.records.vm(vmId);
    if (owner.copy === 'half' || !vm || vm.deleting) return;
    if ((this.#ready.get(vmId) ?? 0) <= owner.incarnation)
      this.#fabric.violated(`the old disk of ${vmId} went before it was ready with its copy`);
  }

  /** Whatever is made under this name has another disk. */
  diskRemoved(vmId: string): void {
    this.#newest.delete(vmId);
    this.#ready.delete(vmId);
  }

  #begins({ name, local }: SimulatedHost, vmId: string, copy: string): void {
    const disk = local.machines.get(vmId);
    const newest = this.#newest.get(vmId);
    if (!disk || disk.owner.copy === 'half')
      this.#fabric.violated(
        `a machine runs on its whole disk: ${copy} runs on ${name} on ${disk ? 'half a copy' : 'none'}`,
      );
    else if (newest !== undefined && (disk.arriving ?? disk.written) !== newest)
      this.#fabric.violated(
        `a machine never goes on from a stale state: ${copy} runs on ${name} on ${disk.written === null ? 'a disk that is not whole' : 'an older disk'}`,
      );
    if (!disk) return;
    disk.written = ++this.#begun;
    disk.arriving = null;
    this.#newest.set(vmId, disk.written);
  }
}
