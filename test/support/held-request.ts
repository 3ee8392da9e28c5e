import { connect, type Socket } from 'node:net';

const CONNECT_LIMIT_MS = 20_000;

/** A request of which the last line is kept back: a connection that is in use, for as long as the test wants. */
export class HeldRequest {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #text = '';
  /** Unix ms of the connection's end, by whomever; null: it is open. */
  endedMs: number | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#text += data.toString('latin1');
    });
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.endedMs = Date.now();
        resolve();
      });
    });
  }

  /** @throws when nobody takes the connection. */
  static begin(host: string, port: number, path: string): Promise<HeldRequest> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      socket.setTimeout(CONNECT_LIMIT_MS, () => socket.destroy(new Error(`${host} took no connection`)));
      // Once it is there, however it ends is what a test looks at.
      socket.on('error', reject);
      socket.on('connect', () => {
        socket.setTimeout(0);
        socket.write(`GET ${path} HTTP/1.0\r\n`);
        resolve(new HeldRequest(socket));
      });
    });
  }

  /** Says the last line. @returns the answer's body; empty: there was none. */
  async finish(): Promise<string> {
    this.#socket.setTimeout(CONNECT_LIMIT_MS, () => this.#socket.destroy());
    this.#socket.write('\r\n');
    await this.#closed;
    return this.#text.split('\r\n\r\n')[1]?.trim() ?? '';
  }

  drop(): void {
    this.#socket.destroy();
  }
}
