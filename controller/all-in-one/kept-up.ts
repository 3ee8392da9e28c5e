import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import pretty from 'pino-pretty';
import { nodeFlags, type Program } from '../../agent/kit/node-flags.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A program that ran so long was well: its next end is not the continuation of this one. */
const WELL_AFTER_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

export interface KeptUpOptions {
  /** Given at the first start only. */
  readonly firstArgs?: readonly string[];
  /** It goes on when the launcher is killed; else it is asked to end then. */
  readonly outlives?: boolean;
  readonly stopLimitMs?: number;
}

/**
 * One of our programs, started again whenever it ends, with growing pauses. It is in a process group of its own, so that
 * Ctrl-C reaches the launcher alone, which then stops the programs in order; it ends with the launcher, however that ends.
 */
export class KeptUp {
  readonly #entry: Program;
  readonly #args: readonly string[];
  readonly #options: KeptUpOptions;
  #isFirst = true;
  #child: ChildProcess | null = null;
  #stopping = false;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(entry: Program, args: readonly string[], options: KeptUpOptions = {}) {
    this.#entry = entry;
    this.#args = args;
    this.#options = options;
  }

  start(): void {
    const isSource = import.meta.filename.endsWith('.ts');
    const script = join(ROOT, `${this.#entry}.${isSource ? 'ts' : 'js'}`);
    const node = [
      process.execPath,
      ...nodeFlags(this.#entry),
      ...(isSource ? ['--import', 'tsx'] : []),
      script,
      ...this.#args,
      ...(this.#isFirst ? (this.#options.firstArgs ?? []) : []),
    ];
    this.#isFirst = false;
    const [file = '', ...args] = this.#options.outlives
      ? node
      : ['setpriv', '--pdeathsig', 'TERM', '--', ...node];
    const isTerminal = process.stderr.isTTY === true;
    const startedAtMs = Date.now();
    const child = spawn(file, args, {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'inherit', isTerminal ? 'pipe' : 'inherit'],
    });
    this.#child = child;
    // Logs are JSON lines; a person at a terminal gets words.
    child.stderr?.pipe(pretty({ ignore: 'pid,hostname,level', singleLine: true, translateTime: 'HH:MM:ss' }));
    child.on('error', (error) => process.stderr.write(`weft: ${this.#entry}: ${error.message}\n`));
    child.on('close', (code, signal) => {
      this.#child = null;
      if (this.#stopping) return;
      if (Date.now() - startedAtMs > WELL_AFTER_MS) this.#pauseMs = FIRST_PAUSE_MS;
      process.stderr.write(
        `weft: ${this.#entry} ended (${signal ?? code}); starting it again in ${this.#pauseMs / 1000} s\n`,
      );
      setTimeout(() => this.#stopping || this.start(), this.#pauseMs);
      this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    });
  }

  /** Ends it in good order; one that does not end is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((done) => child.once('close', () => done()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#options.stopLimitMs ?? STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
  }
}
