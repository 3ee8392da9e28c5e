import type { Duplex } from 'node:stream';
import type { Goal, Hello, OpenStream, Report } from '../../agent/protocol/index.ts';

/** One host as the controller hears it. Heartbeats live here, in memory; only changes of state go to the store. */
export interface HostLink {
  readonly name: string;
  readonly connected: boolean;
  /** Unix ms on the controller's clock of the last frame; 0 if never heard since this controller started. */
  readonly lastHeardMs: number;
  readonly hello: Hello | null;
  readonly report: Report | null;
  /** Why its last session ended; null: it has one, or never had. */
  readonly endedBecause: string | null;
}

export type FleetEvent =
  | { readonly type: 'connected'; readonly host: string; readonly hello: Hello }
  | { readonly type: 'disconnected'; readonly host: string; readonly reason: string }
  | { readonly type: 'report'; readonly host: string; readonly report: Report };

/** What is known of the leases of hosts with a guard. */
export interface LeaseAges {
  /** How long ago, by a clock that nobody sets, a host was granted its last lease, ms: at least that long. */
  ageMs(host: string): number;
}

export interface Fleet {
  hosts(): readonly HostLink[];
  /** Queues the goal; only the newest matters. Sent at once when connected, and again at every connect. */
  sendGoal(host: string, goal: Goal): void;
  /**
   * Asks the host's agent to dial back and hands out the connection. A host that has just gone, or was not heard since this controller began, is
   * waited for first, for five seconds from then. @throws WeftError `host-unreachable`, `not-found`.
   */
  openStream(host: string, vmId: string, target: OpenStream['target']): Promise<Duplex>;
  /**
   * Asks the host's doctor to look now. What it saw is in the report that names this id among those answered.
   * @returns the request's id. @throws WeftError `host-unreachable`; `not-supported` by an older agent.
   */
  examine(host: string, options: { repair: boolean; digests: boolean }): string;
  /** Mints a one-use join token, `weft1.…`. */
  mintJoinToken(options: { label: string; ttlMs: number }): Promise<string>;
  onEvent(listener: (event: FleetEvent) => void): () => void;
  /** Ends the host's session and revokes its certificate. */
  forget(host: string): Promise<void>;
}
