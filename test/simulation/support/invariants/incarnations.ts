import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** Incarnations only grow. */
export class Incarnations implements Rule {
  readonly #fabric: Fabric;
  /** VM id → the highest incarnation it ever had, under any record of that id. */
  readonly #highest = new Map<string, number>();
  /** VM id → when the record was made that had it. */
  readonly #createdAtMs = new Map<string, number>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    for (const id of vms) {
      const vm = this.#fabric.records.vm(id);
      if (vm) this.#check(vm);
    }
  }

  forgetRecords(): void {
    this.#highest.clear();
    this.#createdAtMs.clear();
  }

  #check({ id, incarnation, host, createdAtMs }: VmRecord): void {
    const before = this.#highest.get(id) ?? 0;
    // Made anew and not placed yet: it stands at what was used before.
    const sameRecord = this.#createdAtMs.get(id) === createdAtMs;
    if (host === null && incarnation === before) return;
    this.#createdAtMs.set(id, createdAtMs);
    this.#highest.set(id, Math.max(before, incarnation));
    if (incarnation > before || (sameRecord && incarnation === before)) return;
    this.#fabric.violated(`incarnations only grow: ${id} has incarnation ${incarnation} after ${before}`);
  }
}
