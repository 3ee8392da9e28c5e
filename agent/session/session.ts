import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { readText } from '../kit/read-text.ts';
import {
  type ExamineRequest,
  type Goal,
  type Heartbeat,
  type Hello,
  type Lease,
  MAXIMUM_FRAME_BYTES,
  type OpenStream,
  REMOVED_HEADER,
  type Report,
  type Welcome,
} from '../protocol/index.ts';
import type { Identity } from './identity.ts';
import { readFrame } from './read-frame.ts';

export interface SessionOptions {
  readonly identity: () => Identity;
  readonly hello: () => Hello;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onGoal: (goal: Goal) => void;
  readonly onOpenStream: (request: OpenStream) => void;
  readonly onExamine: (request: ExamineRequest) => void;
  /** Time for a report. */
  readonly onHeartbeat: () => void;
  /** The next request for a lease, when the controller grants them; null: this host wants none. */
  readonly beat?: () => Heartbeat | null;
  readonly onLease?: (lease: Lease) => void;
  /** The controller says that this host was removed from the fleet; at each dial again. */
  readonly onRemoved?: () => void;
}

const RECONNECT: BackOff = { firstMs: 100, maximumMs: 2_000, factor: 1.7 };
const MAXIMUM_REFUSAL_BYTES = 4_096;
const HANDSHAKE_LIMIT_MS = 10_000;
/** Heartbeats without any frame from the other side, pongs included, before the line is given up. */
const MISSED_HEARTBEATS = 4;
/** A report that finds this much still unsent waits for the next one: each is the whole truth. */
const UNSENT_LIMIT_BYTES = 4 * 1024 * 1024;

/** The host's standing line to the controller: dials, says hello, takes goals, sends reports, and dials again when it broke. */
export class Session {
  readonly #options: SessionOptions;
  #socket: WebSocket | null = null;
  #welcomed = false;
  #sequence = 0;
  #failures = 0;
  #heartbeat: Timer | null = null;
  #redial: Timer | null = null;
  #closed = false;
  #lastHeardMs = 0;
  #ownAddress: string | null = null;
  #grantsLeases = false;
  /** A goal that came since, and that was not understood. */
  #refusedGoal: Report['refusedGoal'];

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#dial();
  }

  /** Of this host's end of its newest connection to the controller; null: there was none yet. */
  get ownAddress(): string | null {
    return this.#ownAddress;
  }

  /** Sends a report when there is a session; without one it is dropped: the next session begins with a whole one. */
  send(report: Omit<Report, 'sequence'>): void {
    const socket = this.#socket;
    if (!this.#welcomed || socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > UNSENT_LIMIT_BYTES) return;
    const refused = this.#refusedGoal === undefined ? {} : { refusedGoal: this.#refusedGoal };
    socket.send(JSON.stringify({ ...report, ...refused, sequence: ++this.#sequence }));
  }

  /** Says hello again: what this host offers has changed. Without a session nothing is to be done: the next one begins with it. */
  greet(): void {
    if (this.#welcomed) this.#socket?.send(JSON.stringify(this.#options.hello()));
  }

  close(): void {
    this.#closed = true;
    this.#redial?.cancel();
    this.#heartbeat?.cancel();
    this.#socket?.terminate();
  }

  #dial(): void {
    if (this.#closed) return;
    const { identity, hello, log } = this.#options;
    const { controller, ca, certificate, key } = identity();
    const socket = new WebSocket(`wss://${controller}/agent/v1/session`, {
      ca,
      cert: certificate,
      key,
      handshakeTimeout: HANDSHAKE_LIMIT_MS,
      maxPayload: MAXIMUM_FRAME_BYTES,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    this.#welcomed = false;
    this.#sequence = 0;
    socket.on('upgrade', ({ socket: { localAddress } }) => {
      this.#ownAddress = localAddress ?? null;
    });
    socket.on('open', () => socket.send(JSON.stringify(hello())));
    socket.on('pong', () => this.#heard());
    socket.on('message', (data) => {
      this.#heard();
      this.#onMessage(String(data));
    });
    socket.on('unexpected-response', (_request, response) => {
      void this.#refused(response);
    });
    socket.on('error', (error) => log.info({ err: error }, 'the line to the controller broke'));
    socket.on('close', () => this.#onClose(socket));
  }

  #heard(): void {
    this.#lastHeardMs = this.#options.clock.now();
  }

  #onMessage(text: string): void {
    const { log, onGoal, onOpenStream, onExamine } = this.#options;
    const read = readFrame(text);
    if ('problem' in read) {
      log.warn({ reason: read.problem }, 'the controller sent a frame that this agent does not understand');
      if (read.goalRevision !== null)
        this.#refusedGoal = { revision: read.goalRevision, reason: read.problem };
      return;
    }
    const { frame } = read;
    switch (frame.type) {
      case 'welcome':
        this.#onWelcome(frame);
        break;
      case 'goal':
        this.#refusedGoal = undefined;
        onGoal(frame);
        break;
      case 'open-stream':
        onOpenStream(frame);
        break;
      case 'examine':
        onExamine(frame);
        break;
      case 'lease':
        this.#options.onLease?.(frame);
        break;
      case 'refusal':
        log.error(
          { code: frame.code, remedy: frame.remedy },
          `the controller refused this host: ${frame.message}`,
        );
        break;
    }
  }

  /** The controller answered the dial with something else than a session; it says why in the body. */
  async #refused(response: IncomingMessage): Promise<void> {
    const { log } = this.#options;
    const socket = this.#socket;
    const message = await readText(response, MAXIMUM_REFUSAL_BYTES).catch(() => '');
    log.error(
      { status: response.statusCode },
      `the controller refused this host: ${message || 'it did not say why'}`,
    );
    if (response.headers[REMOVED_HEADER] === 'true') this.#options.onRemoved?.();
    socket?.terminate();
  }

  #onWelcome(welcome: Welcome): void {
    this.#welcomed = true;
    this.#failures = 0;
    this.#grantsLeases = welcome.leases === true;
    this.#options.onWelcome(welcome);
    this.#beat(welcome.heartbeatMs);
  }

  #beat(everyMs: number): void {
    this.#heartbeat?.cancel();
    this.#askForLease();
    this.#options.onHeartbeat();
    this.#heartbeat = this.#options.clock.after(everyMs, () => {
      const silentMs = this.#options.clock.now() - this.#lastHeardMs;
      if (silentMs > everyMs * MISSED_HEARTBEATS) {
        this.#options.log.info({ silentMs }, 'the controller is silent; dialling again');
        this.#socket?.terminate();
        return;
      }
      this.#socket?.ping();
      this.#beat(everyMs);
    });
  }

  #askForLease(): void {
    const beat = this.#grantsLeases ? this.#options.beat?.() : null;
    if (beat && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(beat));
  }

  #onClose(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#heartbeat?.cancel();
    this.#welcomed = false;
    this.#socket = null;
    if (this.#closed) return;
    this.#redial = this.#options.clock.after(backOffMs(RECONNECT, ++this.#failures), () => this.#dial());
  }
}
