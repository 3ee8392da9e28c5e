import type { VmRecord } from '../../../../controller/model/index.ts';
import { drainMsOf, endpointsOfVm, servingEdges } from '../../../../controller/reconciler/edge-endpoints.ts';
import { backendName } from '../../../../controller/reconciler/edge-goals.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

const RULE = 'what the world is connected to drains before it goes';

/** Of instances and machines that work, as far as the agent that there is has seen it, on hosts that are up, and that some host serves to the world. */
export class Drained implements Rule {
  readonly #fabric: Fabric;
  readonly #now: () => number;
  /** VM id → its record before the last transaction that changed it. */
  readonly #last = new Map<string, VmRecord>();

  constructor(fabric: Fabric, now: () => number) {
    this.#fabric = fabric;
    this.#now = now;
  }

  committed({ vms }: Commit): void {
    for (const id of vms) {
      const before = this.#last.get(id);
      const vm = this.#fabric.records.vm(id);
      if (vm) this.#last.set(id, vm);
      else this.#last.delete(id);
      if (before && isTakenAway(before, vm) && this.#works(before) && !hasJustFailed(before, vm))
        this.#check(before);
    }
  }

  forgetRecords(): void {
    this.#last.clear();
  }

  /** What its host says of it, and what is done about it, are written together. */
  #works({ id, host, phase, incarnation }: VmRecord): boolean {
    const domain = this.#fabric.hosts.get(host ?? '')?.domains.get(id);
    return phase === 'ready' && domain?.incarnation === incarnation;
  }

  #check(before: VmRecord): void {
    const { records, hosts, violated } = this.#fabric;
    const { id, incarnation, host, state, stateSinceMs } = before;
    const endpoints = endpointsOfVm(
      records.applications.find(({ name }) => name === before.app),
      before,
    );
    const edges = servingEdges(records.hosts);
    // A host that is lost takes what is on it along.
    if (endpoints.length === 0 || edges.length === 0 || records.host(host ?? '')?.state !== 'up') return;
    if (state === 'ready') violated(`${RULE}: ${id}@${incarnation} was ready, and was taken away`);
    if (state !== 'draining' || this.#now() >= stateSinceMs + drainMsOf(endpoints)) return;
    const backend = backendName(before, incarnation);
    const sessions = edges.reduce((sum, { name }) => sum + (hosts.get(name)?.sessions(backend) ?? 0), 0);
    if (sessions > 0) violated(`${RULE}: ${id}@${incarnation} went with ${sessions} connections open`);
  }
}

/** What its host says now: it is not ready any more, and is waited for by nobody. */
const hasJustFailed = (before: VmRecord, after: VmRecord | undefined): boolean =>
  after?.incarnation === before.incarnation && after.failure !== null && before.failure === null;

/**
 * Its domain ends, or begins anew, by what was written: it goes, is off, is another incarnation, or is rebooted. A machine that moves while it
 * runs takes its connections along.
 */
export const isTakenAway = (before: VmRecord, after: VmRecord | undefined): boolean =>
  !before.deleting &&
  !(before.successor?.live && before.successor.incarnation === after?.incarnation) &&
  (after === undefined ||
    after.deleting ||
    after.incarnation !== before.incarnation ||
    after.power !== before.power ||
    (after.rebootFrom ?? after.rebootGeneration) !== (before.rebootFrom ?? before.rebootGeneration));
