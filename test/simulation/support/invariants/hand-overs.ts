import type { VmRecord } from '../../../../controller/model/index.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { DiskContents } from './disk-contents.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

const RULE = 'a machine that is handed over is there when it runs there';

/** What the record says of a hand-over's end has come about. */
export class HandOvers implements Rule {
  readonly #fabric: Fabric;
  readonly #last = new Map<string, VmRecord>();
  /** `host vm@incarnation` of all machines that ever ran somewhere. */
  readonly #ran = new Set<string>();
  /** The same of those that stood there, whole, with their disks copied along. */
  readonly #landed = new Set<string>();
  readonly #contents: Pick<DiskContents, 'isWhole'>;

  constructor(fabric: Fabric, contents: Pick<DiskContents, 'isWhole'>) {
    this.#fabric = fabric;
    this.#contents = contents;
  }

  hostChanged({ name, domains, stillCopies, local }: SimulatedHost): void {
    for (const copy of stillCopies) {
      const vmId = copy.slice(0, copy.lastIndexOf('@'));
      if (this.#contents.isWhole(vmId, local.machines.get(vmId))) this.#landed.add(`${name} ${copy}`);
    }
    for (const { vmId, kind, incarnation } of domains.values())
      if (kind === 'machine') this.#ran.add(`${name} ${vmId}@${incarnation}`);
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
    if (vm?.kind === 'machine') this.#last.set(id, vm);
    else this.#last.delete(id);
    const next = before?.successor;
    if (!vm || !next?.live || next.live.state === 'preparing') return;
    const where = `${next.host} ${id}@${next.incarnation}`;
    const isThere = vm.incarnation === next.incarnation;
    if (next.live.copy) {
      // Until it is written down the disk here is the machine's: that copy is not to be believed in before it is whole.
      if (isThere && records.host(before?.host ?? '') && !this.#landed.has(where))
        violated(`${RULE}: ${where} is said to be there with its disk, and never was`);
    } else if (isThere && vm.state === 'starting' && !this.#ran.has(where))
      violated(`${RULE}: ${where} is said to run, and never did`);
    if (!vm.successor && vm.incarnation === before?.incarnation && this.#ran.has(where))
      violated(`${RULE}: ${id}@${vm.incarnation} is said to have stayed on ${vm.host}, and ran at ${where}`);
  }
}
