import type { Duplex } from 'node:stream';
import type { Clock } from '../../../agent/kit/clock.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Goal, OpenStream, Report } from '../../../agent/protocol/index.ts';
import type { Fleet, FleetEvent, HostLink } from '../../../controller/fleet/contract.ts';
import { keepParts } from '../../../controller/fleet/kept-parts.ts';
import { freeze } from '../../../controller/store/frozen.ts';
import type { Random } from './random.ts';
import type { SimulatedHost } from './simulated-host.ts';

interface Line {
  readonly host: SimulatedHost;
  link: HostLink;
  goal: Goal | null;
  /** Counts its sessions: a frame belongs to one. */
  session: number;
  looking: boolean;
}

/** How long it takes, at most, until an end is noticed or a host dials again, ms. */
const NOTICED_WITHIN_MS = 250;
/** Between an agent's looks at its pools, ms. */
const POOLS_EVERY_MS = 5_000;

/** The sessions of one life of a controller. Frames take some milliseconds and are lost in a cut; in bad weather they come late, out of order and twice. */
export class SimulatedFleet implements Fleet {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #lines: ReadonlyMap<string, Line>;
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  /** SIGSTOP of the controller: what comes waits. */
  readonly #waiting: (() => void)[] = [];
  #paused = false;
  #closed = false;

  constructor(hosts: readonly SimulatedHost[], clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#lines = new Map(hosts.map((host) => [host.name, newLine(host)]));
    for (const host of hosts) this.follow(host);
  }

  /** Whether this host can be reached may have changed: in a moment it dials, or its session ends. */
  follow(host: SimulatedHost): void {
    const line = this.#line(host.name);
    if (line.looking || this.#closed) return;
    line.looking = true;
    this.#clock.after(this.#random.between(1, NOTICED_WITHIN_MS), () => {
      line.looking = false;
      this.whenRunning(() => this.#look(line));
    });
  }

  /** The agent was killed: its next process dials anew. */
  drop(host: SimulatedHost): void {
    const line = this.#line(host.name);
    line.link = { ...line.link, connected: false, endedBecause: 'the agent was killed' };
    host.disconnect();
    this.follow(host);
  }

  /** What a host offers has changed: within its next look at its pools it says hello anew. */
  greet(host: SimulatedHost): void {
    this.#clock.after(this.#random.between(1, POOLS_EVERY_MS), () =>
      this.whenRunning(() => {
        const line = this.#line(host.name);
        if (!line.link.connected || !host.reachable || host.mute || host.deaf) return;
        const hello = host.hello();
        line.link = { ...line.link, hello };
        this.#tell({ type: 'connected', host: host.name, hello });
      }),
    );
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const action of this.#waiting.splice(0)) action();
  }

  /** The controller dies: no frame moves any more. */
  close(): void {
    this.#closed = true;
    for (const { host, link } of this.#lines.values()) if (link.connected) host.disconnect();
  }

  hosts(): readonly HostLink[] {
    const links: HostLink[] = [];
    for (const { link } of this.#lines.values()) links.push(link);
    return links;
  }

  sendGoal(name: string, goal: Goal): void {
    const line = this.#line(name);
    line.goal = goal;
    if (line.link.connected) this.#deliver(line);
  }

  onEvent(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks an agent to dial for a stream. @throws WeftError `host-unreachable`. */
  openOn(name: string, request: OpenStream): void {
    const { host, link, session } = this.#line(name);
    if (!link.connected) throw new WeftError('host-unreachable', `host ${name} is not in session`);
    this.#clock.after(this.#random.between(1, 20) + this.#random.between(0, host.weather.lateMs), () => {
      if (this.#line(name).session === session && host.hears) host.openStream(request);
    });
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

  #look(line: Line): void {
    const { host, link } = line;
    if (host.reachable && !host.deaf && !host.mute && !link.connected) this.#connect(line);
    else if (link.connected && (!host.reachable || host.hello().bootId !== link.hello?.bootId)) {
      line.link = { ...link, connected: false, endedBecause: 'gone' };
      host.disconnect();
      this.#tell({ type: 'disconnected', host: link.name, reason: 'gone' });
      // Off and on again before anybody noticed.
      if (host.reachable) this.follow(host);
    }
  }

  #connect(line: Line): void {
    const { host } = line;
    const { name } = host;
    const hello = host.hello();
    const lastHeardMs = this.#clock.now();
    line.link = { name, connected: true, lastHeardMs, endedBecause: null, hello, report: null };
    line.session++;
    this.#tell({ type: 'connected', host: name, hello });
    this.#deliver(line);
    const { session } = line;
    host.connect((report) => this.#send(line, session, report));
  }

  #send(line: Line, session: number, report: Report): void {
    const { host } = line;
    if (!host.reachable || host.mute || this.#closed) return;
    this.#carry(host, 5, () => this.whenRunning(() => this.#take(line, session, report)));
  }

  #take(line: Line, session: number, frame: Report): void {
    const { link } = line;
    if (!link.connected || line.session !== session) return;
    const lastHeardMs = this.#clock.now();
    if ((link.report?.sequence ?? -1) >= frame.sequence) {
      line.link = { ...link, lastHeardMs };
      return;
    }
    const report = keepParts(link.report, frame);
    line.link = { ...link, lastHeardMs, report };
    this.#tell({ type: 'report', host: link.name, report });
  }

  #deliver(line: Line): void {
    const { host, goal, session } = line;
    if (!goal) return;
    this.#carry(host, 20, () => {
      if (this.#closed || line.session !== session || !line.link.connected) return;
      if (host.reachable && !host.deaf) host.receive(freeze(goal));
    });
  }

  /** A frame's way between a host and the controller. */
  #carry({ weather }: SimulatedHost, usualMs: number, arrive: () => void): void {
    const random = this.#random;
    this.#clock.after(random.between(1, usualMs) + random.between(0, weather.lateMs), arrive);
    if (weather.duplicated)
      this.#clock.after(random.between(1, usualMs) + random.between(0, weather.lateMs), arrive);
  }

  /** At once, or when the controller goes on; never, when it is dead. */
  whenRunning(action: () => void): void {
    if (this.#closed) return;
    if (this.#paused) this.#waiting.push(action);
    else action();
  }

  #line(name: string): Line {
    const line = this.#lines.get(name);
    if (!line) throw new TypeError(`no simulated host ${name}`);
    return line;
  }

  #tell(event: FleetEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

const newLine = (host: SimulatedHost): Line => ({
  host,
  link: {
    ...{ name: host.name, connected: false, lastHeardMs: 0, endedBecause: null },
    ...{ hello: null, report: null },
  },
  ...{ goal: null, session: 0, looking: false },
});
