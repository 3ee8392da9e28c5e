import type { Duplex } from 'node:stream';
import { WeftError } from '../../../../agent/kit/errors.ts';

type Message = Readonly<Record<string, unknown>>;

/** Messages over a connection, a line each, one side asking and the other one answering. */
export class Talk {
  readonly socket: Duplex;
  readonly #messages: Message[] = [];
  #waiting: { readonly take: (message: Message) => void; readonly fail: (error: unknown) => void } | null =
    null;
  #rest = '';
  isClosed = false;

  constructor(socket: Duplex, onClosed: () => void = () => undefined) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#take(String(bytes)));
    const close = () => {
      if (this.isClosed) return;
      this.isClosed = true;
      this.#waiting?.fail(lost());
      this.#waiting = null;
      onClosed();
    };
    for (const event of ['end', 'close', 'error']) socket.once(event, close);
  }

  send(message: Message): void {
    this.socket.write(`${JSON.stringify(message)}\n`);
  }

  /** @throws WeftError when the connection is lost before. */
  next(): Promise<Message> {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    if (this.isClosed) return Promise.reject(lost());
    return new Promise((take, fail) => {
      this.#waiting = { take, fail };
    });
  }

  ask(message: Message): Promise<Message> {
    this.send(message);
    return this.next();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (this.#waiting) this.#waiting.take(message);
      else this.#messages.push(message);
      this.#waiting = null;
    }
  }
}

const lost = () => new WeftError('hypervisor-failed', 'the connection to the other libvirt was lost');
