import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** Of the instances of a role the highest index goes first. */
export class Order implements Rule {
  readonly #fabric: Fabric;
  /** Network → the instances that there are, by id. */
  readonly #groups = new Map<string, Map<string, VmRecord>>();
  readonly #groupOf = new Map<string, string>();
  /** Network → ids of those that go: nearly always there are none. */
  readonly #going = new Map<string, Set<string>>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    const groups = new Set<string>();
    for (const id of vms) {
      const vm = this.#fabric.records.vm(id);
      this.#forget(id);
      if (!vm || vm.kind === 'machine') continue;
      this.#follow(vm);
      groups.add(vm.networkId);
    }
    for (const group of groups) this.#check(group);
  }

  #forget(id: string): void {
    const group = this.#groupOf.get(id);
    if (group === undefined) return;
    this.#groupOf.delete(id);
    this.#groups.get(group)?.delete(id);
    this.#going.get(group)?.delete(id);
  }

  #follow(vm: VmRecord): void {
    const { id, networkId } = vm;
    this.#groupOf.set(id, networkId);
    this.#groups.set(networkId, (this.#groups.get(networkId) ?? new Map()).set(id, vm));
    if (vm.deleting) this.#going.set(networkId, (this.#going.get(networkId) ?? new Set()).add(id));
  }

  #check(group: string): void {
    const vms = this.#groups.get(group) ?? new Map<string, VmRecord>();
    for (const id of this.#going.get(group) ?? []) {
      const going = vms.get(id);
      if (!going) continue;
      // What drains may be on its way as well: whose connections end first goes first.
      for (const vm of vms.values())
        if (
          !vm.deleting &&
          vm.state !== 'draining' &&
          (vm.index ?? 0) > (going.index ?? 0) &&
          vm.createdAtMs < going.stateSinceMs
        )
          this.#fabric.violated(`the highest index goes first: ${going.id} goes before ${vm.id}`);
    }
  }
}
