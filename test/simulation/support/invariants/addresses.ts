import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** No two VMs share an address. */
export class Addresses implements Rule {
  readonly #fabric: Fabric;
  readonly #having = new Map<string, Set<string>>();
  readonly #addresses = new Map<string, readonly string[]>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  /** Everything of one transaction holds at once: all that changes gives its addresses back first. */
  committed({ vms }: Commit): void {
    for (const id of vms) this.#giveBack(id);
    for (const id of vms) {
      const uses = addressesOf(this.#fabric.records.vm(id));
      if (uses.length === 0) continue;
      this.#addresses.set(
        id,
        uses.map(({ address }) => address),
      );
      for (const { address, who } of uses) this.#take(address, who);
    }
  }

  #giveBack(id: string): void {
    for (const address of this.#addresses.get(id) ?? []) {
      this.#having.get(address)?.delete(id);
      this.#having.get(address)?.delete(successorOf(id));
    }
    this.#addresses.delete(id);
  }

  #take(address: string, who: string): void {
    const having = this.#having.get(address) ?? new Set();
    this.#having.set(address, having.add(who));
    if (having.size > 1) this.#fabric.violated(sharing(address, having));
  }
}

/** A machine's successor has its address; an instance's has one of its own. */
export function addressesOf(vm: VmRecord | undefined): readonly { address: string; who: string }[] {
  if (!vm) return [];
  const next = vm.role === null ? null : vm.successor;
  return [
    { address: vm.address, who: vm.id },
    ...(next ? [{ address: next.address, who: successorOf(vm.id) }] : []),
  ];
}

export const sharing = (address: string, who: Iterable<string>): string =>
  `no two VMs share an address: ${[...who].join(', ')} have ${address}`;

const successorOf = (id: string) => `the successor of ${id}`;
