import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LABS_OF_RUN } from '../lab/layout.ts';

const TERM_LIMIT_MS = 3_000;
/** Each lab has a janitor, which takes it down when whoever made it is gone. */
const JANITOR_LIMIT_MS = 60_000;

/**
 * What a run of tests starts, each in a process group of its own, and which labs come of it. Asked to end, it ends all of them, sees their
 * labs taken down, and ends as programs do that a signal has ended: 128 and its number.
 */
export class Commands {
  readonly #running = new Set<ChildProcess>();
  /** Gone when the process ends. */
  readonly folder = mkdtempSync(join(tmpdir(), 'weft-run-'));
  /** A file for each lab that is up, written by whoever makes it. */
  readonly #labs = join(this.folder, 'labs');
  #isEnding = false;

  constructor() {
    mkdirSync(this.#labs);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void this.#end(signal));
    process.once('exit', () => rmSync(this.folder, { recursive: true, force: true }));
  }

  start(command: readonly string[], options: SpawnOptions): ChildProcess {
    const [file = '', ...args] = command;
    const env = { ...process.env, ...options.env, [LABS_OF_RUN]: this.#labs };
    const child = spawn(file, args, { ...options, env, detached: true });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  /** Work that ends because of a signal has no result: it waits for the end of the process. */
  async unlessEnding<T>(result: Promise<T>): Promise<T> {
    const done = await result;
    return this.#isEnding ? new Promise<T>(() => undefined) : done;
  }

  async #end(signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
    const code = 128 + constants.signals[signal];
    // Asked twice: who asks does not want to wait.
    if (this.#isEnding) process.exit(code);
    this.#isEnding = true;
    process.stderr.write(`\n${signal}: ending what runs\n`);
    await Promise.all([...this.#running].map(endGroup));
    await this.#takeLabsDown();
    process.exit(code);
  }

  async #takeLabsDown(): Promise<void> {
    const labs = () => readdirSync(this.#labs);
    if (labs().length > 0) process.stderr.write(`taking down ${labs().join(', ')}\n`);
    for (const untilMs = Date.now() + JANITOR_LIMIT_MS; labs().length > 0 && Date.now() < untilMs; )
      await sleep(100);
    if (labs().length === 0) return;
    const { Lab } = await import('../lab/lab.ts');
    for (const name of labs()) await new Lab(name).down();
  }
}

/** Ends a command with all that it has started, unless that made itself a group of its own. */
async function endGroup(child: ChildProcess): Promise<void> {
  const group = child.pid;
  if (group === undefined) return;
  signalGroup(group, 'SIGTERM');
  for (const untilMs = Date.now() + TERM_LIMIT_MS; Date.now() < untilMs && signalGroup(group, 0); )
    await sleep(50);
  signalGroup(group, 'SIGKILL');
}

/** @returns whether anybody is left in it. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
