import type { VmRecord } from '../../../../controller/model/index.ts';
import { isHandedOver } from '../../../../controller/model/live-move.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

const RULE = 'a machine changes its host by proof only';

export class Proofs implements Rule {
  readonly #fabric: Fabric;
  /** Machine id → where it was placed last, of which record of that id, and which host it was being handed over to. */
  readonly #placed = new Map<
    string,
    { readonly host: string; readonly createdAtMs: number; readonly to: string | null }
  >();

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

  #check(vm: VmRecord): void {
    const { id, host, createdAtMs, proof, successor } = vm;
    if (host === null) return;
    const { hosts, violated } = this.#fabric;
    const before = this.#placed.get(id);
    this.#placed.set(id, { host, createdAtMs, to: isHandedOver(vm) ? (successor?.host ?? null) : null });
    // One that was deleted and made again has another disk.
    if (!before || before.host === host || before.createdAtMs !== createdAtMs) return;
    // One transaction may bring it to the host that it was handed over to, and on from there: then that host’s proof is on record.
    if (proof?.host !== before.host && proof?.host !== before.to)
      violated(`${RULE}: ${id} went from ${before.host} to ${host} without a proof`);
    if (hosts.get(before.host)?.domains.has(id))
      violated(`${RULE}: ${id} went to ${host} while it runs on ${before.host}`);
  }
}
