import { type ChildProcess, spawn } from 'node:child_process';
import { enterHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { waitFor } from './wait-for.ts';

/** A program that runs on a lab host while the test goes on, as one that a person started in a terminal there. */
export class Background {
  readonly #lab: Lab;
  readonly #host: string;
  readonly #pidFile: string;
  readonly #child: ChildProcess;
  #output = '';
  readonly ended: Promise<number | null>;

  private constructor(lab: Lab, host: string, pidFile: string, child: ChildProcess) {
    this.#lab = lab;
    this.#host = host;
    this.#pidFile = pidFile;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('utf8');
      });
    this.ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
  }

  static async start(
    lab: Lab,
    host: string,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Background> {
    const pidFile = `/run/background-${Math.random().toString(36).slice(2)}.pid`;
    const [file, ...args] = [
      ...enterHost(await lab.host(host)),
      ...['sh', '-c', 'echo $$ >"$0"; exec "$@"', pidFile, ...command],
    ];
    const child = spawn(String(file), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    return new Background(lab, host, pidFile, child);
  }

  /** Everything it has printed so far. */
  get output(): string {
    return this.#output;
  }

  async says(text: string, limitMs?: number): Promise<void> {
    await waitFor(
      `"${text}"`,
      async () => this.#output.slice(-4_000),
      () => this.#output.includes(text) || this.#child.exitCode !== null,
      limitMs,
    );
    if (!this.#output.includes(text)) throw new Error(`it ended without saying "${text}":\n${this.#output}`);
  }

  /** @returns its exit code. */
  async interrupt(): Promise<number | null> {
    const pid = (await this.#lab.exec(this.#host, ['cat', this.#pidFile])).stdout.trim();
    await this.#lab.exec(this.#host, ['kill', '-INT', pid]);
    return this.ended;
  }
}
