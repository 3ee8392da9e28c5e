import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { entriesOf, isAlive, PROC, startTicksOf } from '../guard/processes.ts';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';

/** One process: the pid alone may be another's by now. */
export interface ServerProcess {
  readonly pid: number;
  readonly startTicks: string;
}

const LOOK_EVERY_MS = 20;
const END_LIMIT_MS = 5_000;

/**
 * The process that runs this program with this configuration file, whoever started it; null: none does. The pid file is only where to
 * look first: a start that was cut short may not have written it, and a second server would share the port with the first.
 */
export function findServer(program: string, configuration: string, pidFile: string): ServerProcess | null {
  const noted = Number(readQuietly(pidFile)?.trim() ?? 'none');
  const here = Number.isInteger(noted) && noted > 1 ? serverAt(noted, program, configuration) : null;
  if (here) return here;
  for (const entry of entriesOf(PROC)) {
    const found = /^\d+$/.test(entry) ? serverAt(Number(entry), program, configuration) : null;
    if (found) return found;
  }
  return null;
}

function serverAt(pid: number, program: string, configuration: string): ServerProcess | null {
  const startTicks = startTicksOf(pid);
  if (startTicks === null || !isAlive(pid, startTicks)) return null;
  const words = (readQuietly(`${PROC}/${pid}/cmdline`) ?? '').split('\0');
  const isOurs = basename(words[0] ?? '') === program && words.includes(configuration);
  return isOurs && programOf(pid) === program ? { pid, startTicks } : null;
}

/** Its file, also where that was replaced by an upgrade since. */
function programOf(pid: number): string | null {
  try {
    return basename(readlinkSync(`${PROC}/${pid}/exe`).replace(/ \(deleted\)$/, ''));
  } catch {
    return null;
  }
}

/** @throws WeftError `timeout`: it is still there. */
export async function endServer({ pid, startTicks }: ServerProcess, clock: Clock): Promise<void> {
  signal(pid, startTicks, 'SIGTERM');
  for (let waited = 0; isAlive(pid, startTicks); waited += LOOK_EVERY_MS) {
    if (waited >= 2 * END_LIMIT_MS) throw new WeftError('timeout', `process ${pid} does not end`);
    if (waited === END_LIMIT_MS) signal(pid, startTicks, 'SIGKILL');
    await clock.sleep(LOOK_EVERY_MS);
  }
}

function signal(pid: number, startTicks: string, name: 'SIGTERM' | 'SIGKILL'): void {
  if (startTicksOf(pid) !== startTicks) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readQuietly(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
