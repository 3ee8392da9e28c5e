import { request } from 'node:http';
import { type RequestOptions, request as requestByTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';

/** One request and what came of it. `error` is null where it was answered with 200. */
export interface Asked {
  readonly url: string;
  readonly atMs: number;
  readonly endedMs: number;
  readonly body: string;
  readonly error: string | null;
}

/** By which authority, and under which name, a server is to be known that is asked by TLS. */
export interface Trust {
  readonly ca: string;
  readonly servername: string;
}

/** So many clients go on for each address; each waits a little between two requests: what is looked for are failures, not figures. */
const CLIENTS = 2;
const PAUSE_MS = 20;
const ANSWER_LIMIT_MS = 20_000;

/** Clients that ask and ask, each time by a connection of its own, from outside the fleet. */
export class SteadyLoad {
  readonly asked: Asked[] = [];
  readonly #timeoutMs: number;
  readonly #trust: Trust | undefined;
  readonly #clients: readonly Promise<void>[];
  #isOver = false;

  /** @param timeoutMs after which a request has failed, ms. */
  constructor(urls: readonly string[], timeoutMs = ANSWER_LIMIT_MS, trust?: Trust) {
    this.#timeoutMs = timeoutMs;
    this.#trust = trust;
    this.#clients = urls.flatMap((url) => Array.from({ length: CLIENTS }, () => this.#goOn(url)));
  }

  get failures(): readonly Asked[] {
    return this.asked.filter(({ error }) => error !== null);
  }

  /** How many were answered since the last one that was not. */
  get answeredInARow(): number {
    return this.asked.length - 1 - this.asked.findLastIndex(({ error }) => error !== null);
  }

  /** The longest time in which nobody was answered, ms. */
  get longestGapMs(): number {
    const ends = this.asked.filter(({ error }) => error === null).map(({ endedMs }) => endedMs);
    return Math.max(0, ...ends.map((endMs, index) => endMs - (ends[index - 1] ?? endMs)));
  }

  /** Resolves when each client's last request has ended. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  async #goOn(url: string): Promise<void> {
    while (!this.#isOver) {
      const atMs = Date.now();
      const { body, error } = await ask(url, this.#trust, this.#timeoutMs);
      this.asked.push({ url, atMs, endedMs: Date.now(), body, error });
      await sleep(PAUSE_MS);
    }
  }
}

export interface Answer {
  readonly body: string;
  readonly error: string | null;
  /** Fingerprint of the certificate that was shown, by TLS. */
  readonly certificate: string | null;
}

/** One request by a connection of its own. Never rejects: a failure is an answer. */
export function ask(
  url: string,
  more: Trust | RequestOptions = {},
  timeoutMs = ANSWER_LIMIT_MS,
): Promise<Answer> {
  return new Promise((resolve) => {
    let body = '';
    let certificate: string | null = null;
    const fail = (error: Error) => resolve({ body, error: error.message, certificate });
    const begin = url.startsWith('https:') ? requestByTls : request;
    const options = { ...more, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
    const asking = begin(url, options, (answer) => {
      if (answer.socket instanceof TLSSocket)
        certificate = answer.socket.getPeerCertificate().fingerprint256 ?? null;
      answer.setEncoding('utf8');
      answer.on('data', (text: string) => {
        body += text;
      });
      answer.on('error', fail);
      answer.on('end', () =>
        resolve({
          body: body.trim(),
          error: answer.statusCode === 200 ? null : `status ${answer.statusCode}`,
          certificate,
        }),
      );
    });
    asking.on('error', fail);
    asking.end();
  });
}
