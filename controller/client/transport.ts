import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import WebSocket from 'ws';
import { type ErrorDocument, WeftError } from '../../agent/kit/errors.ts';
import { readBytes, readText } from '../../agent/kit/read-text.ts';
import type { ClientConfig } from './config.ts';

const ANSWER_LIMIT_MS = 60_000;
/** Who waits for longer wants to know for what. */
const SLOW_AFTER_MS = 3_000;
/** An application's or a fleet's whole listing fits. */
const MAXIMUM_ANSWER_BYTES = 64 * 1024 * 1024;

export interface ServerSentEvent {
  readonly event: string;
  readonly data: unknown;
}

export interface TransportOptions {
  /** Called once, where an answer takes longer than a few seconds. */
  readonly onSlow?: (controller: string) => void;
  readonly slowAfterMs?: number;
}

/** HTTPS to one controller, which is believed only under its own CA. */
export class Transport {
  readonly #config: ClientConfig;
  readonly #agent: Agent;
  readonly #slowAfterMs: number;
  #onSlow: TransportOptions['onSlow'];

  constructor(config: ClientConfig, { onSlow, slowAfterMs = SLOW_AFTER_MS }: TransportOptions = {}) {
    this.#config = config;
    this.#onSlow = onSlow;
    this.#slowAfterMs = slowAfterMs;
    this.#agent = new Agent({ ca: config.ca, keepAlive: true });
  }

  /** @throws WeftError as the controller sent it, or `host-unreachable`. */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await this.#send(
      method,
      path,
      text === undefined ? {} : { 'content-type': 'application/json' },
      text,
    );
    return JSON.parse(await readText(response, MAXIMUM_ANSWER_BYTES)) as T;
  }

  async bytes(path: string): Promise<Buffer> {
    return readBytes(await this.#send('GET', path, {}, undefined), MAXIMUM_ANSWER_BYTES);
  }

  async upload<T>(path: string, content: Readable): Promise<T> {
    const response = await this.#send('PUT', path, { 'content-type': 'application/octet-stream' }, content);
    return JSON.parse(await readText(response, MAXIMUM_ANSWER_BYTES)) as T;
  }

  /**
   * Server-sent events until the controller ends them or the reader leaves.
   * @throws WeftError `host-unreachable` also when the connection breaks on the way, or the signal aborts.
   */
  async *events(path: string, signal?: AbortSignal): AsyncGenerator<ServerSentEvent> {
    const response = await this.#send('GET', path, { accept: 'text/event-stream' }, undefined, false);
    const leave = () => response.destroy(new Error('no longer waiting'));
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted) leave();
    try {
      let rest = '';
      response.setEncoding('utf8');
      for await (const chunk of response) {
        const blocks = (rest + String(chunk)).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const event = /^event: (.*)$/m.exec(block)?.[1];
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) };
        }
      }
    } catch (error) {
      if (error instanceof WeftError) throw error;
      throw this.#unreachable(error as Error);
    } finally {
      signal?.removeEventListener('abort', leave);
      response.destroy();
    }
  }

  webSocket(path: string): WebSocket {
    const { controller, ca, token } = this.#config;
    return new WebSocket(`${controller.replace(/^https:/, 'wss:')}${path}`, {
      ca,
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** @returns what ends it: there is an answer, or there will be none. */
  #tellWhenSlow(): () => void {
    const timer = setTimeout(() => {
      this.#onSlow?.(this.#config.controller);
      this.#onSlow = undefined;
    }, this.#slowAfterMs);
    return () => clearTimeout(timer);
  }

  #send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | Readable | undefined,
    limited = true,
  ): Promise<IncomingMessage> {
    const { controller, token } = this.#config;
    return new Promise((resolve, reject) => {
      const isLimited = limited && typeof body !== 'object';
      const answered = isLimited && this.#onSlow ? this.#tellWhenSlow() : () => undefined;
      const call = request(
        `${controller}${path}`,
        { method, agent: this.#agent, headers: { ...headers, authorization: `Bearer ${token}` } },
        (response) => {
          answered();
          const { statusCode = 0 } = response;
          if (statusCode < 400) resolve(response);
          else
            void readText(response, MAXIMUM_ANSWER_BYTES).then(
              (text) => reject(refusalOf(text, statusCode)),
              reject,
            );
        },
      );
      if (isLimited)
        call.setTimeout(ANSWER_LIMIT_MS, () =>
          call.destroy(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`)),
        );
      call.on('error', (error) => {
        answered();
        reject(this.#unreachable(error));
      });
      if (typeof body === 'object') pipeline(body, call).catch(reject);
      else call.end(body);
    });
  }

  #unreachable(error: Error): WeftError {
    return new WeftError(
      'host-unreachable',
      `cannot reach the controller at ${this.#config.controller}: ${error.message}`,
      { remedy: 'Is it running? Start it with "npm start", or check WEFT_CONFIG.', cause: error },
    );
  }
}

function refusalOf(text: string, status: number): WeftError {
  try {
    return WeftError.fromDocument(JSON.parse(text) as ErrorDocument);
  } catch {
    return new WeftError('internal', `the controller answered ${status}`);
  }
}
