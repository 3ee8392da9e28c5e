import type { Duplex } from 'node:stream';
import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Goal, Hello, Report } from '../../../agent/protocol/index.ts';
import type { Fleet, FleetEvent, HostLink } from '../../../controller/fleet/contract.ts';
import type { Random } from './random.ts';
import type { SimulatedHost } from './simulated-host.ts';

interface Link {
  connected: boolean;
  lastHeardMs: number;
  endedBecause: string | null;
  hello: Hello | null;
  report: Report | null;
  goal: Goal | null;
}

/** The sessions of one life of a controller. Frames take some milliseconds, keep their order, and are lost in a cut. */
export class SimulatedFleet implements Fleet {
  readonly #hosts: readonly SimulatedHost[];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  #closed = false;

  constructor(hosts: readonly SimulatedHost[], clock: Clock, random: Random) {
    this.#hosts = hosts;
    this.#clock = clock;
    this.#random = random;
    for (const host of hosts)
      this.#links.set(host.name, {
        connected: false,
        lastHeardMs: 0,
        endedBecause: null,
        hello: null,
        report: null,
        goal: null,
      });
  }

  /** Hosts that can be reached and have no session dial; sessions that are cut end. Called after every fault and now and then. */
  tick(): void {
    if (this.#closed) return;
    for (const host of this.#hosts) {
      const link = this.#link(host.name);
      if (host.reachable && !host.deaf && !host.mute && !link.connected) this.#connect(host, link);
      else if (!host.reachable && link.connected) {
        Object.assign(link, { connected: false, endedBecause: 'gone' });
        host.disconnect();
        this.#tell({ type: 'disconnected', host: host.name, reason: 'gone' });
      }
    }
  }

  /** The agent was killed: its next process dials anew. */
  drop(host: SimulatedHost): void {
    Object.assign(this.#link(host.name), { connected: false, endedBecause: 'the agent was killed' });
    host.disconnect();
  }

  /** The controller dies: no frame moves any more. */
  close(): void {
    this.#closed = true;
    for (const host of this.#hosts) host.disconnect();
  }

  hosts(): readonly HostLink[] {
    return [...this.#links].map(([name, link]) => ({ name, ...link }));
  }

  sendGoal(name: string, goal: Goal): void {
    const link = this.#link(name);
    link.goal = goal;
    if (link.connected) this.#deliver(name, link);
  }

  onEvent(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async openStream(): Promise<Duplex> {
    throw new WeftError('host-unreachable', 'a simulated host has no streams');
  }

  examine(): string {
    throw new WeftError('not-supported', 'a simulated host has no doctor');
  }

  async mintJoinToken(): Promise<string> {
    return 'weft1.simulated';
  }

  async forget(): Promise<void> {}

  #connect(host: SimulatedHost, link: Link): void {
    const hello = host.hello();
    Object.assign(link, {
      connected: true,
      lastHeardMs: this.#clock.now(),
      endedBecause: null,
      hello,
      report: null,
    });
    this.#tell({ type: 'connected', host: host.name, hello });
    this.#deliver(host.name, link);
    host.connect((report) => {
      if (!host.reachable || host.mute || this.#closed) return;
      const frame = structuredClone(report);
      this.#clock.after(this.#random.between(1, 5), () => {
        if (this.#closed || !link.connected || (link.report?.sequence ?? -1) >= frame.sequence) return;
        link.lastHeardMs = this.#clock.now();
        link.report = frame;
        this.#tell({ type: 'report', host: host.name, report: frame });
      });
    });
  }

  #deliver(name: string, link: Link): void {
    const host = this.#hosts.find((each) => each.name === name);
    const { goal } = link;
    if (!host || !goal) return;
    this.#clock.after(this.#random.between(1, 20), () => {
      if (!this.#closed && host.reachable && !host.deaf && link.connected)
        host.receive(structuredClone(goal));
    });
  }

  #link(name: string): Link {
    const link = this.#links.get(name);
    if (!link) throw new TypeError(`no simulated host ${name}`);
    return link;
  }

  #tell(event: FleetEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
