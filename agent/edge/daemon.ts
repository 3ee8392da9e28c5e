import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { entriesOf, isAlive, PROC, startTicksOf, statOf } from '../guard/processes.ts';

const LOG_BYTES = 1024 * 1024;
const LOG_TAIL_BYTES = 16 * 1024;

export interface DaemonOptions {
  readonly program: string;
  readonly arguments: readonly string[];
  /** One of the arguments, which no other process of this host has: what is ours is known by it. */
  readonly mark: string;
  readonly log: string;
  /** Told when one that this agent has started ends. */
  readonly onExit: () => void;
}

interface Known {
  readonly pid: number;
  readonly startTicks: string;
}

/**
 * A server of ours, as a process that outlives the agent. No note says which one it is: its command line does, so that there is no moment in
 * which one runs that is not known.
 */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #namespace = networkOf('self');
  #known: Known | null = null;

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  /** Pid of its first process; null: it does not run. */
  find(): number | null {
    if (this.#known && isAlive(this.#known.pid, this.#known.startTicks)) return this.#known.pid;
    this.#known = null;
    const all = this.processes();
    const first = all.find((pid) => !all.includes(parentOf(pid)) && isRoots(pid));
    const startTicks = first === undefined ? null : startTicksOf(first);
    if (first === undefined || startTicks === null) return null;
    this.#known = { pid: first, startTicks };
    return first;
  }

  /** Pids of all its processes. */
  processes(): readonly number[] {
    const { program, mark } = this.#options;
    return entriesOf(PROC)
      .filter((entry) => /^\d+$/.test(entry))
      .filter((pid) => {
        const [first = '', ...rest] = argumentsOf(pid);
        return basename(first) === program && rest.includes(mark) && networkOf(pid) === this.#namespace;
      })
      .map(Number);
  }

  /** Starts it; whether it stays up shows later. */
  start(): void {
    const { program, arguments: args, log, onExit } = this.#options;
    trim(log);
    const file = openSync(log, 'a', 0o600);
    try {
      const child = spawn(program, [...args], { detached: true, stdio: ['ignore', file, file], cwd: '/' });
      child.once('error', onExit).once('exit', onExit).unref();
    } finally {
      closeSync(file);
    }
  }

  /** @returns false when it does not run. */
  signal(signal: NodeJS.Signals): boolean {
    const pid = this.find();
    if (pid === null) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  }

  /** How much it has written so far: what follows is what `logSince` gives. */
  get logBytes(): number {
    return sizeOf(this.#options.log);
  }

  async logSince(bytes: number): Promise<string> {
    const from = Math.max(bytes, this.logBytes - LOG_TAIL_BYTES);
    const file = await open(this.#options.log, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_TAIL_BYTES), 0, LOG_TAIL_BYTES, from);
      return buffer.subarray(0, bytesRead).toString('utf8');
    } finally {
      await file.close();
    }
  }
}

const parentOf = (pid: number): number => Number(statOf(join(PROC, String(pid), 'stat'))?.[1] ?? 0);

/** Workers of a load balancer are not: one whose first process was killed is not taken for it. */
function isRoots(pid: number): boolean {
  try {
    return statSync(join(PROC, String(pid))).uid === process.getuid?.();
  } catch {
    return false;
  }
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(join(PROC, pid, 'cmdline'), 'utf8').split('\0');
  } catch {
    return [];
  }
}

function networkOf(pid: string): string {
  try {
    return readlinkSync(join(PROC, pid, 'ns/net'));
  } catch {
    return '';
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}

function trim(log: string): void {
  if (sizeOf(log) > LOG_BYTES) truncateSync(log);
}
