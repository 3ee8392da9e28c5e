import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** Starts a program in a session of its own, its output appended to a log file. It outlives this process. */
export function spawnDetached(
  file: string,
  args: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): number {
  const output = openSync(log, 'a');
  try {
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    });
    child.unref();
    if (child.pid === undefined) throw new Error(`${file} could not be started`);
    return child.pid;
  } finally {
    closeSync(output);
  }
}
