import type { SimulatedHost } from '../simulated-host.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** Nothing runs on a host that is in maintenance. */
export class Maintenance implements Rule {
  readonly #fabric: Fabric;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ hosts }: Commit): void {
    for (const host of hosts) this.check(host);
  }

  hostChanged({ name }: SimulatedHost): void {
    this.check(name);
  }

  check(name: string): void {
    const { records, hosts, violated } = this.#fabric;
    const record = records.host(name);
    if (record?.mode !== 'maintenance' || record.state !== 'up') return;
    const domains = hosts.get(name)?.domains;
    if (domains && domains.size > 0)
      violated(
        `what is gone from a host that is in maintenance is gone: ${name} has ${[...domains.keys()].join(', ')}`,
      );
  }
}
