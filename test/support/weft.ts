import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { REPOSITORY } from '../lab/layout.ts';

const COMMAND = join(REPOSITORY, 'controller/cli/weft.mjs');

/** A row of `weft ps --json`. */
export interface PsRow {
  readonly id: string;
  readonly app: string;
  readonly role: string | null;
  readonly index: number | null;
  readonly kind: string;
  readonly host: string | null;
  readonly state: string;
  readonly address: string | null;
  readonly image: string | null;
  readonly incarnation: number;
  readonly overlay: string | null;
}

export interface TimelineStep {
  readonly name: string;
  readonly status: string;
  readonly startedAtMs: number;
  readonly ms: number;
  readonly parts?: readonly { readonly name: string; readonly ms: number }[];
}

/** The real `weft` command, run as a person would run it. */
export class Weft {
  readonly #config: string;

  constructor(config: string) {
    this.#config = config;
  }

  /** Runs a command and gives what it printed; any exit code is an answer. */
  async run(args: readonly string[], options: { timeoutMs?: number; input?: string } = {}) {
    return exec(process.execPath, [COMMAND, ...args], {
      env: { WEFT_CONFIG: this.#config },
      timeoutMs: options.timeoutMs ?? 120_000,
      okExitCodes: Array.from({ length: 256 }, (_, code) => code),
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  /** Runs a command that must succeed. */
  async ok(args: readonly string[], options: { timeoutMs?: number; input?: string } = {}): Promise<string> {
    const result = await this.run(args, options);
    if (result.exitCode !== 0)
      throw new Error(
        `weft ${args.join(' ')} ended with ${result.exitCode}:\n${result.stderr}\n${result.stdout}`,
      );
    return result.stdout;
  }

  async json<T>(args: readonly string[], options: { timeoutMs?: number } = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, '--json'], options)) as T;
  }

  ps(app?: string): Promise<readonly PsRow[]> {
    return this.json(['ps', ...(app === undefined ? [] : [app])]);
  }

  /** Starts a command that goes on until it is killed; its output is the caller's to read. */
  start(args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [COMMAND, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, WEFT_CONFIG: this.#config },
    });
  }

  /** Runs a command on this terminal. */
  show(args: readonly string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [COMMAND, ...args], {
        stdio: 'inherit',
        env: { ...process.env, WEFT_CONFIG: this.#config },
      });
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  }
}
