import type { EventRecord } from '../../../controller/model/index.ts';
import type { Transaction } from '../../../controller/store/contract.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { Simulation } from './simulation.ts';

/** On the way to `ready`, and told by every VM. */
const USUAL = /⇒ (placing|fetching|booting|starting)\b/;
const IN_PLACEMENTS = new Set(['vm-created', 'vm-heal']);

/** What happened in a scenario, a line each: what the controller told, and what began and ended on hosts. */
export class Journal {
  readonly #lines: string[] = [];
  readonly #running = new Map<string, ReadonlySet<string>>();
  #simulation: Simulation | null = null;
  #startMs = 0;

  begin(simulation: Simulation): void {
    this.#simulation = simulation;
    this.#startMs = simulation.clock.now();
  }

  get passedMs(): number {
    return (this.#simulation?.clock.now() ?? 0) - this.#startMs;
  }

  say(what: string): void {
    if (this.#simulation) this.#lines.push(`${(this.passedMs / 1_000).toFixed(1).padStart(6)}  ${what}`);
  }

  committed({ puts = [] }: Transaction): void {
    for (const { key, value } of puts) {
      if (!key.startsWith('events/')) continue;
      const { kind, subject, message } = value as EventRecord;
      if (IN_PLACEMENTS.has(kind) || (kind === 'vm-state' && USUAL.test(message))) continue;
      this.say(`${kind} ${subject}: ${message}`);
    }
  }

  hostChanged(host: SimulatedHost): void {
    const now = new Set([
      ...[...host.domains.values()].map(({ vmId, incarnation }) => `runs ${vmId}@${incarnation}`),
      ...[...host.stillCopies].map((copy) => `holds ${copy} still`),
      ...[...host.shutOutCopies].map((copy) => `has ${copy} shut out`),
      ...[...host.overlays].map((id) => `has overlay ${id}`),
      ...[...host.machineDisks].map((id) => `has disk of ${id}`),
    ]);
    const before = this.#running.get(host.name) ?? new Set();
    this.#running.set(host.name, now);
    for (const each of before)
      if (!now.has(each)) this.say(`${host.name} no longer ${each.replace(/^has overlay/, 'has overlay')}`);
    for (const each of now)
      if (!before.has(each) && !each.startsWith('has overlay')) this.say(`${host.name} ${each}`);
  }

  /** @returns the log, with what is there at the end. */
  end(): string {
    const simulation = this.#simulation;
    const vms = (simulation?.records.vms ?? []).map(
      (vm) => `${vm.id}@${vm.incarnation} ${vm.state}${vm.host === null ? '' : ` on ${vm.host}`}`,
    );
    const hosts = (simulation?.records.hosts ?? []).map(({ name, state }) => `${name} ${state}`);
    return `${[...this.#lines, 'at the end:', ...hosts, ...vms].join('\n')}\n`;
  }
}
