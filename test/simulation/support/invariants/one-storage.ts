import type { SharedPool } from '../shared-pool.ts';
import { SHARED_POOL } from '../shared-pool.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { Fabric, Rule } from './rule.ts';

/** A machine on a shared pool never begins on another storage than it had its disk on, whatever that is called. */
export class OneStorage implements Rule {
  readonly #fabric: Fabric;
  /** Machine id → where its disk was last. */
  readonly #storage = new Map<string, SharedPool>();
  readonly #running = new Map<string, ReadonlySet<string>>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  hostChanged({ name, domains, storage }: SimulatedHost): void {
    const before = this.#running.get(name) ?? new Set();
    const now = new Set<string>();
    for (const { vmId, kind, incarnation, pool } of domains.values()) {
      if (kind !== 'machine' || pool !== SHARED_POOL.name) continue;
      const copy = `${vmId}@${incarnation}`;
      now.add(copy);
      if (before.has(copy)) continue;
      const known = this.#storage.get(vmId);
      if (known && known !== storage)
        this.#fabric.violated(
          `a machine never goes to another storage: ${copy} runs on ${name}, and its disk is elsewhere`,
        );
      this.#storage.set(vmId, storage);
    }
    this.#running.set(name, now);
  }

  /** Whatever is made under this name may be elsewhere. */
  diskRemoved(vmId: string): void {
    this.#storage.delete(vmId);
  }
}
