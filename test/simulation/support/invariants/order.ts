import type { Commit, Fabric, Rule } from './rule.ts';

/** Of the instances of a role the highest index goes first. */
export class Order implements Rule {
  readonly #fabric: Fabric;
  readonly #groups = new Map<string, Set<string>>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    const groups = new Set<string>();
    for (const id of vms) {
      const vm = this.#fabric.records.vm(id);
      if (!vm || vm.kind === 'machine') continue;
      const group = this.#groups.get(vm.networkId) ?? new Set();
      this.#groups.set(vm.networkId, group.add(id));
      groups.add(vm.networkId);
    }
    for (const group of groups) this.#check(this.#groups.get(group) ?? new Set());
  }

  #check(ids: Set<string>): void {
    const { records, violated } = this.#fabric;
    const vms = [...ids].flatMap((id) => records.vm(id) ?? []);
    for (const going of vms.filter(({ deleting }) => deleting))
      for (const vm of vms)
        if (!vm.deleting && (vm.index ?? 0) > (going.index ?? 0) && vm.createdAtMs < going.stateSinceMs)
          violated(`the highest index goes first: ${going.id} goes before ${vm.id}`);
    for (const id of ids) if (!records.vm(id)) ids.delete(id);
  }
}
