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
  /** VM id → its record before the last transaction that changed it. */
  readonly #last = new Map<string, VmRecord>();
  /** `host id@incarnation` of every VM and successor that has a place, and of every claim. */
  readonly #placed = new Map<string, readonly string[]>();
  readonly #claimed = new Map<string, readonly string[]>();
  readonly #unmatched = new Map<string, number>();
  readonly #groups = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, Set<string>>();
  readonly #addresses = new Map<string, readonly string[]>();
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
    this.#last.clear();
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
    for (const id of vms) this.#giveAddressesBack(id);
    for (const id of vms) {
      this.#notePlaced(id);
      this.#checkAddresses(id);
      this.#checkDeparture(id);
      const vm = this.records.vm(id);
      if (!vm) continue;
      this.#checkIncarnation(vm);
      if (vm.kind === 'machine') this.#checkMachine(vm);
      else groups.add(this.#noteGroup(vm));
    }
    for (const group of groups) this.#checkOrder(group);
    for (const host of hosts) {
      this.#checkCapacity(host);
      this.#checkMaintenance(host);
    }
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
    this.#checkMaintenance(host.name);
  }

  #checkMaintenance(name: string): void {
    const record = this.records.host(name);
    if (record?.mode !== 'maintenance' || record.state !== 'up') return;
    const domains = this.#hosts.get(name)?.domains;
    if (domains && domains.size > 0)
      this.violated(
        `what is gone from a host that is in maintenance is gone: ${name} has ${[...domains.keys()].join(', ')}`,
      );
  }

  #runs({ id, host, incarnation }: Pick<VmRecord, 'id' | 'host' | 'incarnation'>): boolean {
    return this.#hosts.get(host ?? '')?.domains.get(id)?.incarnation === incarnation;
  }

  /** Of an instance that ran, and was ready, on a host that drains and is up. */
  #checkDeparture(id: string): void {
    const before = this.#last.get(id);
    const vm = this.records.vm(id);
    if (vm) this.#last.set(id, vm);
    else this.#last.delete(id);
    if (!before || !vm || vm.role === null || before.createdAtMs !== vm.createdAtMs) return;
    const { host, state, incarnation, successor } = before;
    const home = this.records.host(host ?? '');
    if (!home?.draining || home.state !== 'up' || state !== 'ready' || vm.host === host) return;
    // What has another definition was replaced, which is another matter.
    if (vm.definition !== before.definition || !this.#runs(before)) return;
    const rule = 'what leaves a host that drains goes when its successor is ready';
    if (vm.incarnation !== successor?.incarnation)
      this.violated(`${rule}: ${id}@${incarnation} left ${host} for ${vm.incarnation} on ${vm.host}`);
    else if (this.#hosts.get(vm.host ?? '')?.powered && !this.#runs(vm))
      this.violated(
        `${rule}: ${id}@${incarnation} left ${host} before ${vm.incarnation} was ready on ${vm.host}`,
      );
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
    const vm = this.records.vm(id);
    const now = [vm, vm?.successor].flatMap((each) =>
      each && each.host !== null ? [`${each.host} ${id}@${each.incarnation}`] : [],
    );
    for (const key of this.#placed.get(id) ?? []) this.#count(key, -1);
    for (const key of now) this.#count(key, 1);
    if (now.length === 0) this.#placed.delete(id);
    else this.#placed.set(id, now);
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

  #giveAddressesBack(id: string): void {
    for (const address of this.#addresses.get(id) ?? []) {
      this.#byAddress.get(address)?.delete(id);
      this.#byAddress.get(address)?.delete(successorOf(id));
    }
    this.#addresses.delete(id);
  }

  /** A machine's successor has its address; an instance's has one of its own. */
  #checkAddresses(id: string): void {
    const vm = this.records.vm(id);
    if (!vm) return;
    const next = vm.role === null ? null : vm.successor;
    this.#addresses.set(id, [vm.address, ...(next ? [next.address] : [])]);
    this.#checkAddress(vm.address, id);
    if (next) this.#checkAddress(next.address, successorOf(id));
  }

  #checkAddress(address: string, who: string): void {
    const having = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, having.add(who));
    if (having.size > 1)
      this.violated(`no two VMs share an address: ${[...having].join(', ')} have ${address}`);
  }
}

const successorOf = (id: string) => `the successor of ${id}`;
