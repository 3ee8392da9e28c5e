import type { SimulatedHost } from '../simulated-host.ts';
import type { Fabric, Rule } from './rule.ts';

/**
 * A machine never goes on from an older state than its disk has: no copy runs at an incarnation below one that has run, and none that
 * stood still goes on after another one has run.
 */
export class DiskAges implements Rule {
  readonly #fabric: Fabric;
  /** Machine id → the highest incarnation that has run since its disk was made. */
  readonly #highest = new Map<string, number>();
  readonly #running = new Map<string, ReadonlySet<string>>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  hostChanged(host: SimulatedHost): void {
    const before = this.#running.get(host.name) ?? new Set();
    const now = new Set<string>();
    for (const { vmId, kind, incarnation } of host.domains.values()) {
      if (kind !== 'machine') continue;
      const copy = `${vmId}@${incarnation}`;
      now.add(copy);
      if (!before.has(copy)) this.#begins(host, vmId, incarnation);
    }
    this.#running.set(host.name, now);
  }

  /** The highest incarnation that has run; 0: none. */
  highest(vmId: string): number {
    return this.#highest.get(vmId) ?? 0;
  }

  /** Whatever is made under this name has another disk. */
  diskRemoved(vmId: string): void {
    this.#highest.delete(vmId);
  }

  #begins({ name }: SimulatedHost, vmId: string, incarnation: number): void {
    const highest = this.#highest.get(vmId) ?? 0;
    if (incarnation < highest)
      this.#fabric.violated(
        `a machine never goes on from a stale state: ${vmId}@${incarnation} runs on ${name} after ${vmId}@${highest} had its disk`,
      );
    this.#highest.set(vmId, Math.max(highest, incarnation));
  }
}
