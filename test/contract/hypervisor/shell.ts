import type { ConsoleStream, HypervisorDriver } from '../../../agent/hypervisor/driver.ts';

const RETYPE_MS = 1_500;

/** The root shell that the tiny image keeps on its serial console. */
export class Shell {
  readonly #stream: ConsoleStream;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Resolves when the guest has gone down, or the console was closed. */
  readonly ended: Promise<void>;
  #heard = '';

  private constructor(stream: ConsoleStream) {
    this.#stream = stream;
    this.#reader = stream.readable.getReader();
    this.ended = this.#listen();
  }

  static async on(driver: HypervisorDriver, name: string): Promise<Shell> {
    return new Shell(await driver.openConsole(name));
  }

  async type(text: string): Promise<void> {
    await this.#stream.write(Buffer.from(text));
  }

  /** Types a command, again while the guest is not far enough to hear it, and gives what it printed. */
  async run(command: string, limitMs: number): Promise<string> {
    const mark = `${Date.now()}`;
    // The mark is whole in the output alone, not in the echo of what is typed.
    // What an earlier, half-heard line left is dropped by the interrupt.
    const line = `\x03echo "<""${mark}"; ${command}; echo "${mark}"">"\n`;
    const answer = new RegExp(`<${mark}\\r?\\n([\\s\\S]*?)${mark}>`);
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 20) {
      if (waitedMs % RETYPE_MS === 0) await this.type(line);
      const found = answer.exec(this.#heard);
      if (found) return (found[1] ?? '').replaceAll('\r', '');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`the guest did not run "${command}"; its console says:\n${this.#heard.slice(-2000)}`);
  }

  async close(): Promise<void> {
    await this.#stream.close();
    await this.ended;
  }

  async #listen(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#heard += Buffer.from(value).toString('utf8');
    }
  }
}
