import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

const RULE = 'what leaves a host that drains goes when its successor is ready';

/** Of an instance that ran, and was ready, on a host that drains and is up. */
export class Departures implements Rule {
  readonly #fabric: Fabric;
  /** VM id → its record before the last transaction that changed it. */
  readonly #last = new Map<string, VmRecord>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms }: Commit): void {
    for (const id of vms) this.#check(id);
  }

  forgetRecords(): void {
    this.#last.clear();
  }

  #check(id: string): void {
    const { records, violated } = this.#fabric;
    const before = this.#last.get(id);
    const vm = records.vm(id);
    if (vm) this.#last.set(id, vm);
    else this.#last.delete(id);
    if (!before || !vm || vm.role === null || before.createdAtMs !== vm.createdAtMs) return;
    const { host, state, incarnation, successor } = before;
    const home = records.host(host ?? '');
    if (!home?.draining || home.state !== 'up' || state !== 'ready' || vm.host === host) return;
    // Its agent has begun anew, and has not seen it work yet: it may say in the same moment that it does not.
    if (before.phase !== 'ready') return;
    // What has another definition was replaced, which is another matter.
    if (vm.definition !== before.definition || !this.#runs(before)) return;
    if (vm.incarnation !== successor?.incarnation)
      violated(`${RULE}: ${id}@${incarnation} left ${host} for ${vm.incarnation} on ${vm.host}`);
    else if (this.#isKnown(vm.host ?? '') && !this.#runs(vm))
      violated(`${RULE}: ${id}@${incarnation} left ${host} before ${vm.incarnation} was ready on ${vm.host}`);
  }

  /** What was ready on a boot that has ended just now was ready by all that anybody could know. */
  #isKnown(name: string): boolean {
    const host = this.#fabric.hosts.get(name);
    return host?.powered === true && host.hello().bootId === this.#fabric.records.host(name)?.bootId;
  }

  #runs({ id, host, incarnation }: Pick<VmRecord, 'id' | 'host' | 'incarnation'>): boolean {
    return this.#fabric.hosts.get(host ?? '')?.domains.get(id)?.incarnation === incarnation;
  }
}
