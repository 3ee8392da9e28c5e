import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTicksOf, statOf } from '../../agent/kit/processes.ts';
import type { ProcessRecord } from './state.ts';

export function recordProcess(pid: number): ProcessRecord {
  return { pid, startTime: startTicksOf(pid) ?? '' };
}

/** Alive: the same process as recorded, and not a zombie. */
export function isAlive(record: ProcessRecord): boolean {
  return startTicksOf(record.pid) === record.startTime && statOf(`/proc/${record.pid}/stat`)?.[0] !== 'Z';
}

export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): void {
  if (!isAlive(record)) return;
  try {
    process.kill(record.pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

/** Kills and waits until it is gone. @throws when it still lives after ten seconds. */
export async function killAndWait(record: ProcessRecord, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  signalProcess(record, signal);
  for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 20) {
    if (!isAlive(record)) return;
    await sleep(20);
  }
  throw new Error(`process ${record.pid} did not end after ${signal}`);
}

/** The first child of a process, waited for up to two seconds. */
export async function firstChild(pid: number): Promise<number> {
  for (let waitedMs = 0; waitedMs < 2_000; waitedMs += 10) {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    const child = Number(text.trim().split(' ')[0]);
    if (child > 0) return child;
    await sleep(10);
  }
  throw new Error(`process ${pid} has no child`);
}

/** Every process in the same PID namespace as `pid`, itself included. */
export async function processesInNamespaceOf(pid: number): Promise<readonly number[]> {
  const wanted = await readlink(`/proc/${pid}/ns/pid`);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (each) =>
      (await readlink(`/proc/${each}/ns/pid`).catch(() => '')) === wanted ? each : 0,
    ),
  );
  return found.filter((each) => each > 0);
}
