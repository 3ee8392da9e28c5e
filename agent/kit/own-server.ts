import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Clock } from './clock.ts';
import { WeftError } from './errors.ts';
import { entriesOf, isAlive, PROC, startTicksOf, statOf } from './processes.ts';

const LOOK_EVERY_MS = 20;
const END_LIMIT_MS = 5_000;

/** By what a server of ours is known among all processes of this host. */
export interface ServerMark {
  readonly program: string;
  /** One of its arguments, which no other process of this host has: the path of its configuration. */
  readonly mark: string;
  /** Its first process goes on as another user. Where it does not, one of another user is a worker whose first process was killed. */
  readonly changesUser?: boolean;
}

/** The pid alone may be another's by now. */
export interface ServerProcess {
  readonly pid: number;
  readonly startTicks: string;
}

/**
 * A server of ours, which outlives the agent, whoever started it. No note says which process it is: its command line does, so that there
 * is no moment in which one runs that is not known.
 */
export class OwnServer {
  readonly #mark: ServerMark;
  readonly #namespace = networkOf('self');
  #known: ServerProcess | null = null;

  constructor(mark: ServerMark) {
    this.#mark = mark;
  }

  /** Its first process; null: it does not run. */
  find(): ServerProcess | null {
    if (this.#known && isAlive(this.#known.pid, this.#known.startTicks)) return this.#known;
    const first = firstOf(this.processes()).find(({ pid }) => this.#mark.changesUser || isOfThisUser(pid));
    this.#known = first ?? null;
    return this.#known;
  }

  /** All its processes. */
  processes(): readonly ServerProcess[] {
    const { program, mark } = this.#mark;
    return entriesOf(PROC).flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      const [first = '', ...rest] = argumentsOf(entry);
      if (basename(first) !== program || !rest.includes(mark) || networkOf(entry) !== this.#namespace)
        return [];
      const pid = Number(entry);
      const startTicks = startTicksOf(pid);
      return startTicks !== null && isAlive(pid, startTicks) ? [{ pid, startTicks }] : [];
    });
  }

  /**
   * Ends all its processes: workers by their first one, so that it can tidy up. Those of a start that was cut short go as well.
   * @throws WeftError `timeout`: one is still there.
   */
  async end(clock: Clock): Promise<void> {
    const told = new Set<string>();
    for (let waited = 0; ; waited += LOOK_EVERY_MS) {
      const left = this.processes();
      if (left.length === 0) return;
      if (waited >= 2 * END_LIMIT_MS)
        throw new WeftError('timeout', `process ${left[0]?.pid} of ${this.#mark.program} does not end`);
      for (const each of firstOf(left).filter(({ startTicks, pid }) => !told.has(`${pid} ${startTicks}`))) {
        told.add(`${each.pid} ${each.startTicks}`);
        signalServer(each, 'SIGTERM');
      }
      if (waited === END_LIMIT_MS) for (const each of left) signalServer(each, 'SIGKILL');
      await clock.sleep(LOOK_EVERY_MS);
    }
  }
}

/** @returns false when it is not there any more. */
export function signalServer({ pid, startTicks }: ServerProcess, signal: NodeJS.Signals): boolean {
  if (startTicksOf(pid) !== startTicks) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/** Those that no other one of them has started. */
function firstOf(all: readonly ServerProcess[]): readonly ServerProcess[] {
  const pids = new Set(all.map(({ pid }) => pid));
  return all.filter(({ pid }) => !pids.has(Number(statOf(join(PROC, String(pid), 'stat'))?.[1] ?? 0)));
}

function isOfThisUser(pid: number): boolean {
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
