import type { Candidate, Claim, Load, PlacementRequest } from './contract.ts';
import { FILTERS } from './filters/index.ts';
import { SCORERS } from './scorers/index.ts';

export interface ExistingClaim extends Claim {
  readonly host: string;
  readonly group: string;
}

/**
 * Places VMs one after another on hosts whose load grows with every placement. Pure: same input, same answer.
 * Every host is weighed for every VM; figures are kept so that this costs some hundred nanoseconds a host.
 */
export class Placer {
  readonly #loads: readonly Load[];
  readonly #byName: ReadonlyMap<string, Load>;
  readonly #groups = new Map<string, number[]>();

  constructor(hosts: readonly Candidate[], claims: Iterable<ExistingClaim> = []) {
    const numbers = new Map<string, number>();
    this.#loads = [...hosts]
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .map((host) => ({
        host,
        domains: prefixesOf(host).map((prefix) => numberOf(numbers, prefix)),
        usedCpus: 0,
        usedMemoryMiB: 0,
        usedDiskMiB: new Map(),
      }));
    this.#byName = new Map(this.#loads.map((load) => [load.host.name, load]));
    for (const claim of claims) this.add(claim.host, claim.group, claim);
  }

  /** The best host, now with this VM's claim on it; null when every host refuses. */
  place(request: PlacementRequest): string | null {
    const group = this.counts(request.group);
    let best: Load | null = null;
    for (const load of this.#loads) {
      if (!FILTERS.every((filter) => filter.accepts(request, load))) continue;
      if (best === null || isBetter(request, load, best, group)) best = load;
    }
    if (best === null) return null;
    this.add(best.host.name, request.group, { ...request.size, pool: request.pool });
    return best.host.name;
  }

  add(host: string, group: string, claim: Claim): void {
    this.#change(host, group, claim, 1);
  }

  remove(host: string, group: string, claim: Claim): void {
    this.#change(host, group, claim, -1);
  }

  loads(): readonly Load[] {
    return this.#loads;
  }

  counts(group: string): number[] {
    const known = this.#groups.get(group);
    if (known) return known;
    const counts: number[] = [];
    this.#groups.set(group, counts);
    return counts;
  }

  #change(host: string, group: string, claim: Claim, sign: 1 | -1): void {
    const load = this.#byName.get(host);
    if (!load) return;
    load.usedCpus += sign * claim.cpus;
    load.usedMemoryMiB += sign * claim.memoryMiB;
    load.usedDiskMiB.set(claim.pool, (load.usedDiskMiB.get(claim.pool) ?? 0) + sign * claim.diskMiB);
    const counts = this.counts(group);
    for (const domain of load.domains) counts[domain] = (counts[domain] ?? 0) + sign;
  }
}

function isBetter(request: PlacementRequest, load: Load, best: Load, group: readonly number[]): boolean {
  for (const scorer of SCORERS) {
    const difference = scorer.score(request, load, group) - scorer.score(request, best, group);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** `a`, `a/b`, … and the host itself. */
function prefixesOf(host: Candidate): string[] {
  const prefixes: string[] = [];
  for (const part of [...host.faultDomain, `host ${host.name}`])
    prefixes.push(`${prefixes.at(-1) ?? ''}/${part}`);
  return prefixes;
}

function numberOf(numbers: Map<string, number>, prefix: string): number {
  const known = numbers.get(prefix);
  if (known !== undefined) return known;
  numbers.set(prefix, numbers.size);
  return numbers.size - 1;
}
