import type { WebSocket } from 'ws';
import { isWithin } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import {
  type ControllerFrame,
  type Goal,
  type Heartbeat,
  type Hello,
  PROTOCOL_VERSION,
} from '../../agent/protocol/index.ts';
import type { FleetEvent, HostLink } from './contract.ts';
import { HostSession } from './host-session.ts';
import { keepParts } from './kept-parts.ts';
import type { FleetServerOptions } from './options.ts';

const HEARTBEAT_MS = 1_000;
/** What is said to agents that ask for no lease; they make nothing of it. */
const LEASE_MS = 4_000;
/** After its session ended, or the controller began, a host that lives has most likely dialled. */
const BACK_WITHIN_MS = 5_000;

interface Host {
  session: HostSession | null;
  /** Unix ms at which its last session ended; null: it had none since this controller began. */
  goneMs: number | null;
  goal: Goal | null;
  link: HostLink;
}

/** Each host's session, the goal it is to have, and how it was heard last. */
export class ConnectedHosts {
  readonly #options: FleetServerOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  readonly #beganMs: number;

  constructor(options: FleetServerOptions) {
    this.#options = options;
    this.#beganMs = options.clock.now();
  }

  links(): readonly HostLink[] {
    return [...this.#hosts.values()].map((host) => host.link);
  }

  link(name: string): HostLink | undefined {
    return this.#hosts.get(name)?.link;
  }

  /** What it is to have; null: that is not known yet. */
  goal(name: string): Goal | null {
    return this.#hosts.get(name)?.goal ?? null;
  }

  onEvent(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The newest goal of a host: sent at once when it is connected, and again at every connect. */
  setGoal(name: string, goal: Goal): void {
    const host = this.#host(name);
    host.goal = goal;
    host.session?.sendGoal(goal);
  }

  /** @throws `host-unreachable` when the host has no session. */
  session(name: string): HostSession {
    const host = this.#hosts.get(name);
    if (host?.session && host.link.connected) return host.session;
    throw new WeftError('host-unreachable', `host ${name} is not connected`, {
      remedy: `Look at it with: weft host ls`,
    });
  }

  /** As `session`, and waits for a host that is likely to dial in a moment: after a restart of the controller, or of its agent. */
  async sessionSoon(name: string): Promise<HostSession> {
    const host = this.#hosts.get(name);
    const sinceMs = host?.goneMs ?? this.#beganMs;
    const nowMs = this.#options.clock.now();
    if (!host?.link.connected && isWithin(BACK_WITHIN_MS, sinceMs, nowMs))
      await this.#connected(name, sinceMs + BACK_WITHIN_MS - nowMs);
    return this.session(name);
  }

  end(name: string, reason: string): void {
    this.#hosts.get(name)?.session?.end(reason);
  }

  endAll(reason: string): void {
    for (const host of this.#hosts.values()) host.session?.end(reason);
  }

  forget(name: string): void {
    this.#hosts.delete(name);
  }

  /** A second session of a host ends the first: the newer one is the living one. */
  begin(name: string, socket: WebSocket): void {
    const host = this.#host(name);
    host.session?.end('this host has opened another session');
    const session: HostSession = new HostSession({
      host: name,
      socket,
      clock: this.#options.clock,
      log: this.#options.log,
      onHello: (hello) => this.#onHello(name, hello, () => host.session === session),
      onHeartbeat: (heartbeat) =>
        void this.#onHeartbeat(name, heartbeat, () => host.session === session, session),
      onReport: (frame) => {
        const report = keepParts(host.link.report, frame);
        host.link = { ...host.link, report };
        this.#emit({ type: 'report', host: name, report });
      },
      onHeard: () => {
        if (host.session === session) host.link = { ...host.link, lastHeardMs: this.#options.clock.now() };
      },
      onClose: (reason) => {
        if (host.session !== session) return;
        host.session = null;
        host.goneMs = this.#options.clock.now();
        host.link = { ...host.link, connected: false, endedBecause: reason };
        this.#emit({ type: 'disconnected', host: name, reason });
      },
    });
    host.session = session;
  }

  async #onHeartbeat(
    name: string,
    { sequence, guard }: Heartbeat,
    isCurrent: () => boolean,
    session: HostSession,
  ): Promise<void> {
    const { leases, log } = this.#options;
    try {
      const leaseMs = await leases.grant(name, guard, isCurrent);
      if (leaseMs !== null) session.send({ type: 'lease', sequence, leaseMs });
    } catch (error) {
      log.warn({ err: error, host: name }, 'a lease could not be granted');
    }
  }

  async #onHello(name: string, hello: Hello, isCurrent: () => boolean): Promise<ControllerFrame | null> {
    const { fleet, clock, leases } = this.#options;
    const refusal = refusalOf(name, hello);
    if (refusal) return refusal;
    // First: whatever it does from now on, nobody relies on a guard that it no longer has.
    const record = await leases.note(name, hello.guard ?? null, isCurrent);
    if (!record) return null;
    const host = this.#host(name);
    host.link = {
      ...host.link,
      connected: true,
      hello,
      report: null,
      lastHeardMs: clock.now(),
      endedBecause: null,
    };
    // After the welcome, which is sent when this returns.
    setImmediate(() => {
      if (!isCurrent()) return;
      if (host.goal) host.session?.sendGoal(host.goal);
      this.#emit({ type: 'connected', host: name, hello });
    });
    return {
      type: 'welcome',
      protocol: Math.min(hello.protocol, PROTOCOL_VERSION),
      fleet: fleet.uuid,
      epoch: fleet.epoch,
      hostName: name,
      leaseMs: LEASE_MS,
      heartbeatMs: HEARTBEAT_MS,
      atMs: clock.now(),
      leases: true,
    };
  }

  /** Resolves when this host is connected, or after so long. */
  #connected(name: string, limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel();
        stop();
        resolve();
      };
      const timer = this.#options.clock.after(limitMs, end);
      const stop = this.onEvent(({ type, host }) => {
        if (type === 'connected' && host === name) end();
      });
    });
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name);
    if (known) return known;
    const link = { name, connected: false, lastHeardMs: 0, hello: null, report: null, endedBecause: null };
    const host: Host = { session: null, goneMs: null, goal: null, link };
    this.#hosts.set(name, host);
    return host;
  }

  #emit(event: FleetEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Null: this hello is of the host whose certificate it came with, and understood. */
function refusalOf(name: string, hello: Hello): ControllerFrame | null {
  const refuse = (message: string, remedy: string): ControllerFrame => ({
    type: 'refusal',
    code: 'conflict',
    message,
    remedy,
  });
  if (hello.hostName !== name)
    return refuse(`the certificate is of ${name}, the hello of ${hello.hostName}`, 'Join this host anew.');
  if (Math.abs(hello.protocol - PROTOCOL_VERSION) > 1)
    return refuse(
      `this host speaks protocol ${hello.protocol}, the controller ${PROTOCOL_VERSION}`,
      'Bring both to versions that are at most one protocol apart.',
    );
  return null;
}
