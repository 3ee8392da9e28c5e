import type { Commit, Fabric, Rule } from './rule.ts';

/** What is claimed on a host never exceeds what it offers. */
export class Capacity implements Rule {
  readonly #fabric: Fabric;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ hosts }: Commit): void {
    for (const host of hosts) this.check(host);
  }

  check(name: string): void {
    const { records, violated } = this.#fabric;
    const offer = records.host(name)?.offer;
    if (!offer) return;
    const claims = Object.values(records.claims.get(name)?.vms ?? {});
    const memoryMiB = claims.reduce((sum, claim) => sum + claim.memoryMiB, 0);
    const cpus = claims.reduce((sum, claim) => sum + claim.cpus, 0);
    if (memoryMiB > offer.memoryMiB || cpus > offer.cpus * offer.cpuRatio)
      violated(`capacity is never over-promised: ${name} promises ${memoryMiB} MiB and ${cpus} CPUs`);
  }
}
