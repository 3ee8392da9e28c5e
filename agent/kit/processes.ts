import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a test may put other processes than this host's. */
export const PROC = '/proc';

/** Fields of a stat file after the program's name, which may have blanks: the state is the first. Null: no such process. */
export function statOf(path: string): readonly string[] | null {
  try {
    const text = readFileSync(path, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Ticks since the boot at which the process started; null: there is none. */
export const startTicksOf = (pid: number, proc = PROC): string | null =>
  statOf(join(proc, String(pid), 'stat'))?.[19] ?? null;

/**
 * True until its last thread has ended. The process itself may be a zombie while a thread of it still waits for a disk, whose
 * write is then still to come.
 */
export function isAlive(pid: number, startTicks: string, proc = PROC): boolean {
  if (startTicksOf(pid, proc) !== startTicks) return false;
  const folder = join(proc, String(pid), 'task');
  return entriesOf(folder).some((task) => {
    const state = statOf(join(folder, task, 'stat'))?.[0];
    return state !== undefined && state !== 'Z' && state !== 'X';
  });
}

export function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
