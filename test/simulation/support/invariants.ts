import type {
  ApplicationRecord,
  ClaimsRecord,
  HostRecord,
  VmRecord,
} from '../../../controller/model/index.ts';
import type { Transaction } from '../../../controller/store/contract.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What the store holds, kept up to date with every commit. */
export class Records {
  readonly #entries = new Map<string, unknown>();
  readonly #vms = new Map<string, VmRecord>();
  readonly #hosts = new Map<string, HostRecord>();
  readonly #claims = new Map<string, ClaimsRecord>();
  readonly #applications = new Map<string, ApplicationRecord>();
  readonly #kinds: Readonly<Record<string, Map<string, unknown>>> = {
    vms: this.#vms as Map<string, unknown>,
    hosts: this.#hosts as Map<string, unknown>,
    claims: this.#claims as Map<string, unknown>,
    apps: this.#applications as Map<string, unknown>,
  };

  set(key: string, value: unknown | null): void {
    const slash = key.indexOf('/');
    const kind = this.#kinds[key.slice(0, slash)];
    if (value === null) {
      this.#entries.delete(key);
      kind?.delete(key.slice(slash + 1));
      return;
    }
    // Events are many, and nobody asks for them here.
    if (!key.startsWith('events/')) this.#entries.set(key, value);
    kind?.set(key.slice(slash + 1), value);
  }

  vm(id: string): VmRecord | undefined {
    return this.#vms.get(id);
  }

  host(name: string): HostRecord | undefined {
    return this.#hosts.get(name);
  }

  get applications(): readonly ApplicationRecord[] {
    return [...this.#applications.values()];
  }

  get vms(): readonly VmRecord[] {
    return [...this.#vms.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  get hosts(): readonly HostRecord[] {
    return [...this.#hosts.values()];
  }

  get claims(): ReadonlyMap<string, ClaimsRecord> {
    return this.#claims;
  }

  /** All keys but those of events. */
  get keys(): readonly string[] {
    return [...this.#entries.keys()];
  }
}

/**
 * The invariants, checked in the transaction that may break one and at whatever begins or ends on a host: each over what has
 * changed, against what is remembered of the rest.
 */
export class Invariants {
  readonly records = new Records();
  readonly #hosts: ReadonlyMap<string, SimulatedHost>;
  /** Machine id → hosts that run it, or have its disk on a pool of their own. */
  readonly #machinesOn = new Map<string, Set<string>>();
  readonly #seenOn = new Map<string, ReadonlySet<string>>();
  /** VM id → the highest incarnation it ever had, under any record of that id. */
  readonly #incarnations = new Map<string, number>();
  /** VM id → when the record was made that had it. */
  readonly #createdAtMs = new Map<string, number>();
  /** Machine id → where it was placed last, of which record of that id. */
  readonly #machineHosts = new Map<string, { readonly host: string; readonly createdAtMs: number }>();
  /** `host id@incarnation` of every placed VM, and of every claim. */
  readonly #placed = new Map<string, string>();
  readonly #claimed = new Map<string, readonly string[]>();
  readonly #unmatched = new Map<string, number>();
  readonly #groups = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, Set<string>>();
  readonly #addresses = new Map<string, string>();
  readonly #violations: string[] = [];
  /** Grows with every change of anything. */
  changes = 0;

  constructor(hosts: readonly SimulatedHost[]) {
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
  }

  /** @returns what is wrong; empty: nothing. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  violated(what: string): void {
    this.#violations.push(what);
  }

  /** The store was lost: what it knew binds nobody any more. */
  forgetRecords(): void {
    this.#incarnations.clear();
    this.#createdAtMs.clear();
    this.#machineHosts.clear();
  }

  /** Everything of one transaction holds at once, so all of it is looked at together. */
  committed({ puts = [], deletes = [] }: Transaction): void {
    this.changes++;
    const vms = new Set<string>();
    const hosts = new Set<string>();
    const change = (key: string, value: unknown | null) => {
      this.records.set(key, value);
      const name = key.slice(key.indexOf('/') + 1);
      if (key.startsWith('vms/')) vms.add(name);
      else if (key.startsWith('claims/') || key.startsWith('hosts/')) hosts.add(name);
      if (key.startsWith('claims/')) this.#noteClaims(name);
    };
    for (const { key, value } of puts) change(key, value);
    for (const key of deletes) change(key, null);
    const groups = new Set<string>();
    for (const id of vms) this.#giveAddressBack(id);
    for (const id of vms) {
      this.#notePlaced(id);
      this.#checkAddress(id);
      const vm = this.records.vm(id);
      if (!vm) continue;
      this.#checkIncarnation(vm);
      if (vm.kind === 'machine') this.#checkMachine(vm);
      else groups.add(this.#noteGroup(vm));
    }
    for (const group of groups) this.#checkOrder(group);
    for (const host of hosts) this.#checkCapacity(host);
    if (vms.size + hosts.size > 0) this.#checkClaims();
  }

  /** What runs or lies on a host has changed. */
  hostChanged(host: SimulatedHost): void {
    this.changes++;
    const running = [...host.domains.values()].filter(({ kind }) => kind === 'machine');
    const now = new Set([...host.machineDisks, ...running.map(({ vmId }) => vmId)]);
    const before = this.#seenOn.get(host.name) ?? new Set();
    this.#seenOn.set(host.name, now);
    for (const id of before) if (!now.has(id)) this.#machinesOn.get(id)?.delete(host.name);
    for (const id of now) {
      if (before.has(id)) continue;
      const on = this.#machinesOn.get(id) ?? new Set();
      this.#machinesOn.set(id, on.add(host.name));
      if (on.size > 1)
        this.violated(`a machine is never on two hosts: ${id} is on ${[...on].join(' and on ')}`);
    }
  }

  #checkMachine({ id, host, createdAtMs, proof }: VmRecord): void {
    if (host === null) return;
    const before = this.#machineHosts.get(id);
    this.#machineHosts.set(id, { host, createdAtMs });
    // One that was deleted and made again has another disk.
    if (!before || before.host === host || before.createdAtMs !== createdAtMs) return;
    const rule = 'a machine changes its host by proof only';
    if (proof?.host !== before.host)
      this.violated(`${rule}: ${id} went from ${before.host} to ${host} without a proof`);
    if (this.#hosts.get(before.host)?.domains.has(id))
      this.violated(`${rule}: ${id} went to ${host} while it runs on ${before.host}`);
  }

  #checkIncarnation({ id, incarnation, host, createdAtMs }: VmRecord): void {
    const before = this.#incarnations.get(id) ?? 0;
    // Made anew and not placed yet: it stands at what was used before.
    const sameRecord = this.#createdAtMs.get(id) === createdAtMs;
    if (host === null && incarnation === before) return;
    this.#createdAtMs.set(id, createdAtMs);
    this.#incarnations.set(id, Math.max(before, incarnation));
    if (incarnation > before || (sameRecord && incarnation === before)) return;
    this.violated(`incarnations only grow: ${id} has incarnation ${incarnation} after ${before}`);
  }

  #checkCapacity(name: string): void {
    const offer = this.records.host(name)?.offer;
    if (!offer) return;
    const claims = Object.values(this.records.claims.get(name)?.vms ?? {});
    const memoryMiB = claims.reduce((sum, claim) => sum + claim.memoryMiB, 0);
    const cpus = claims.reduce((sum, claim) => sum + claim.cpus, 0);
    if (memoryMiB > offer.memoryMiB || cpus > offer.cpus * offer.cpuRatio)
      this.violated(`capacity is never over-promised: ${name} promises ${memoryMiB} MiB and ${cpus} CPUs`);
  }

  /** Counts a placement up and its claim down: where they match, nothing is left over. */
  #count(key: string, by: number): void {
    const left = (this.#unmatched.get(key) ?? 0) + by;
    if (left === 0) this.#unmatched.delete(key);
    else this.#unmatched.set(key, left);
  }

  #notePlaced(id: string): void {
    const before = this.#placed.get(id);
    const vm = this.records.vm(id);
    const now = vm && vm.host !== null ? `${vm.host} ${id}@${vm.incarnation}` : undefined;
    if (before === now) return;
    if (before !== undefined) this.#count(before, -1);
    if (now === undefined) this.#placed.delete(id);
    else {
      this.#placed.set(id, now);
      this.#count(now, 1);
    }
  }

  #noteClaims(host: string): void {
    for (const key of this.#claimed.get(host) ?? []) this.#count(key, 1);
    const now = Object.keys(this.records.claims.get(host)?.vms ?? {}).map((key) => `${host} ${key}`);
    for (const key of now) this.#count(key, -1);
    this.#claimed.set(host, now);
  }

  #checkClaims(): void {
    if (this.#unmatched.size === 0) return;
    const of = (sign: number) =>
      [...this.#unmatched].filter(([, left]) => left * sign > 0).map(([key]) => key);
    this.violated(
      `every placed VM has exactly its claim: placed without one ${of(1).join(', ')}; claimed for nothing ${of(-1).join(', ')}`,
    );
  }

  #noteGroup({ id, networkId }: VmRecord): string {
    const group = this.#groups.get(networkId) ?? new Set();
    this.#groups.set(networkId, group.add(id));
    return networkId;
  }

  #checkOrder(group: string): void {
    const ids = this.#groups.get(group) ?? new Set();
    const vms = [...ids].flatMap((id) => this.records.vm(id) ?? []);
    for (const going of vms.filter(({ deleting }) => deleting))
      for (const vm of vms)
        if (!vm.deleting && (vm.index ?? 0) > (going.index ?? 0) && vm.createdAtMs < going.stateSinceMs)
          this.violated(`the highest index goes first: ${going.id} goes before ${vm.id}`);
    for (const id of ids) if (!this.records.vm(id)) ids.delete(id);
  }

  #giveAddressBack(id: string): void {
    const before = this.#addresses.get(id);
    if (before === undefined || before === this.records.vm(id)?.address) return;
    this.#byAddress.get(before)?.delete(id);
    this.#addresses.delete(id);
  }

  #checkAddress(id: string): void {
    const address = this.records.vm(id)?.address;
    if (address === undefined || this.#addresses.get(id) === address) return;
    this.#addresses.set(id, address);
    const having = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, having.add(id));
    if (having.size > 1)
      this.violated(`no two VMs share an address: ${[...having].join(', ')} have ${address}`);
  }
}
