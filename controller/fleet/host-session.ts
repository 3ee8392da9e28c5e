import type { WebSocket } from 'ws';
import type { Clock } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';
import {
  type AgentFrame,
  agentFrame,
  type ControllerFrame,
  type Goal,
  type Heartbeat,
  type Hello,
  problemOf,
  type Report,
} from '../../agent/protocol/index.ts';

export interface HostSessionOptions {
  readonly host: string;
  readonly socket: WebSocket;
  readonly clock: Clock;
  readonly log: Logger;
  /** @returns the answer to a hello; null: the session is over. Nothing else is sent before it. */
  readonly onHello: (hello: Hello) => Promise<ControllerFrame | null>;
  readonly onReport: (report: Report) => void;
  readonly onHeartbeat: (heartbeat: Heartbeat) => void;
  readonly onHeard: () => void;
  readonly onClose: (reason: string) => void;
}

const HELLO_LIMIT_MS = 10_000;

/** One connection of one host, from its hello on. */
export class HostSession {
  readonly #options: HostSessionOptions;
  #greeted = false;
  #lastSequence = -1;
  #closed = false;

  constructor(options: HostSessionOptions) {
    this.#options = options;
    const { socket, clock } = options;
    const limit = clock.after(HELLO_LIMIT_MS, () => {
      if (!this.#greeted) this.end('no hello came');
    });
    socket.on('message', (data) => this.#onMessage(String(data)));
    socket.on('ping', () => options.onHeard());
    socket.on('error', (error) =>
      options.log.info({ err: error, host: options.host }, 'a host session broke'),
    );
    socket.on('close', (_code, reason) => {
      limit.cancel();
      this.#close(reason.toString() || 'the connection ended');
    });
  }

  sendGoal(goal: Goal): void {
    if (this.#greeted) this.send(goal);
  }

  send(frame: ControllerFrame): void {
    this.#options.socket.send(JSON.stringify(frame));
  }

  end(reason: string): void {
    this.#options.socket.close(1008, reason.slice(0, 120));
    this.#options.socket.terminate();
    this.#close(reason);
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose(reason);
  }

  #onMessage(text: string): void {
    if (this.#closed) return;
    const frame = this.#parse(text);
    if (!frame) return;
    this.#options.onHeard();
    if (frame.type === 'hello') void this.#onHello(frame);
    else if (frame.type === 'heartbeat') {
      if (this.#greeted) this.#options.onHeartbeat(frame);
    } else if (this.#greeted && frame.sequence > this.#lastSequence) {
      this.#lastSequence = frame.sequence;
      this.#options.onReport(frame);
    }
  }

  #parse(text: string): AgentFrame | null {
    const { host, log } = this.#options;
    let reason = 'it is no JSON';
    try {
      const { data, error } = agentFrame.safeParse(JSON.parse(text));
      if (data) return data;
      reason = problemOf(error);
    } catch {
      // Told below.
    }
    log.warn({ host, reason }, 'a host sent a frame that is not understood');
    return null;
  }

  async #onHello(hello: Hello): Promise<void> {
    const answer = await this.#options.onHello(hello).catch((error: unknown) => {
      this.#options.log.error({ err: error, host: this.#options.host }, 'a hello could not be answered');
      this.end('its hello could not be answered');
      return null;
    });
    if (answer === null || this.#closed) return;
    this.#greeted = answer.type === 'welcome';
    this.send(answer);
    if (answer.type === 'refusal') this.end(answer.message);
  }
}
