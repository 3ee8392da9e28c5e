import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

const RULE = 'a machine changes its host by proof only';

export class Proofs implements Rule {
  readonly #fabric: Fabric;
  /** Machine id → where it was placed last, of which record of that id. */
  readonly #placed = new Map<string, { readonly host: string; readonly createdAtMs: number }>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    for (const id of vms) {
      const vm = this.#fabric.records.vm(id);
      if (vm?.kind === 'machine') this.#check(vm);
    }
  }

  forgetRecords(): void {
    this.#placed.clear();
  }

  #check({ id, host, createdAtMs, proof }: VmRecord): void {
    if (host === null) return;
    const { hosts, violated } = this.#fabric;
    const before = this.#placed.get(id);
    this.#placed.set(id, { host, createdAtMs });
    // One that was deleted and made again has another disk.
    if (!before || before.host === host || before.createdAtMs !== createdAtMs) return;
    if (proof?.host !== before.host)
      violated(`${RULE}: ${id} went from ${before.host} to ${host} without a proof`);
    if (hosts.get(before.host)?.domains.has(id))
      violated(`${RULE}: ${id} went to ${host} while it runs on ${before.host}`);
  }
}
