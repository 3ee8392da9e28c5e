import { macOf } from '../../../../agent/kit/addressing.ts';
import type { VmRecord } from '../../../../controller/model/index.ts';
import type { Guest } from '../host-guests.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

type Live = Pick<Guest, 'vmId' | 'incarnation' | 'kind'> & { readonly host: string };

/**
 * No address, and so no hardware address, is used by two VMs that live, or given to one while another lives that has it, whether anybody hears
 * of that or not. An instance that is made anew elsewhere keeps its own, where what was before is given up: others' goals say where it is now.
 */
export class LiveAddresses implements Rule {
  readonly #fabric: Fabric;
  /** Hardware address → what runs with it. */
  readonly #having = new Map<string, readonly Live[]>();
  /** Host → hardware addresses that are on it. */
  readonly #on = new Map<string, ReadonlySet<string>>();
  /** What the store no longer knows binds nobody. */
  #isForgotten = false;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  forgetRecords(): void {
    this.#isForgotten = true;
  }

  hostChanged(host: SimulatedHost): void {
    for (const mac of this.#on.get(host.name) ?? [])
      this.#set(
        mac,
        this.#at(mac).filter((live) => live.host !== host.name),
      );
    const macs = new Set<string>();
    for (const { vmId, incarnation, kind, mac } of host.domains.values()) {
      if (mac === null) continue;
      macs.add(mac);
      const live = { vmId, incarnation, kind, host: host.name };
      for (const other of this.#at(mac))
        if (!this.#mayShare(other, live)) this.#violated('is used by', mac, other, live);
      this.#set(mac, [...this.#at(mac), live]);
    }
    this.#on.set(host.name, macs);
  }

  committed({ vms }: Commit): void {
    for (const id of vms)
      for (const given of givenTo(this.#fabric.records.vm(id)))
        for (const live of this.#at(given.mac)) {
          const isItself = live.vmId === id && live.host === given.host;
          if (!isItself && !this.#mayShare(live, given))
            this.#violated('is given anew while it lives:', given.mac, live, given);
        }
  }

  /** Of a machine others see to it that one lives. */
  #mayShare(one: Live, other: Pick<Live, 'vmId' | 'incarnation' | 'host'>): boolean {
    if (one.vmId !== other.vmId) return false;
    return (
      one.kind === 'machine' ||
      (one.host !== other.host && [one, other].some((each) => this.#isGivenUp(each)))
    );
  }

  #isGivenUp({ vmId, incarnation, host }: Pick<Live, 'vmId' | 'incarnation' | 'host'>): boolean {
    const { records } = this.#fabric;
    if ((records.host(host)?.superseded[vmId] ?? 0) >= incarnation) return true;
    // A newer one that its host is told of ends it as well.
    const vm = records.vm(vmId);
    return [vm, vm?.successor].some((each) => each?.host === host && each.incarnation > incarnation);
  }

  #at(mac: string): readonly Live[] {
    return this.#having.get(mac) ?? [];
  }

  #set(mac: string, having: readonly Live[]): void {
    if (having.length === 0) this.#having.delete(mac);
    else this.#having.set(mac, having);
  }

  #violated(what: string, mac: string, ...all: readonly Pick<Live, 'vmId' | 'incarnation' | 'host'>[]): void {
    if (this.#isForgotten) return;
    const who = all.map(({ vmId, incarnation, host }) => `${vmId}@${incarnation} on ${host}`);
    this.#fabric.violated(`the address of ${mac} ${what} ${who.join(' and ')}`);
  }
}

/** The addresses that a VM has by its record, each where it is to be used. */
function givenTo(vm: VmRecord | undefined) {
  if (!vm) return [];
  return [vm, vm.role === null ? null : vm.successor].flatMap((each) =>
    each
      ? [
          {
            ...{ vmId: vm.id, incarnation: each.incarnation },
            ...{ host: each.host ?? 'none', mac: macOf(each.address) },
          },
        ]
      : [],
  );
}
