import { type ChildProcess, spawn } from 'node:child_process';
import { exec } from '../../../agent/kit/exec.ts';
import { waitFor } from '../../support/wait-for.ts';

const LIMIT_MS = 30_000;

/**
 * Starts a program that goes on, and waits until somebody listens on this TCP port there. It has a session of its own, as the agent's servers
 * have: the kernel shares processors out between sessions.
 */
export async function serve(namespace: string, port: number, command: readonly string[]): Promise<void> {
  const child: ChildProcess = spawn('ip', ['netns', 'exec', namespace, ...command], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const listens = async () => {
    if (child.exitCode !== null) throw new Error(`${command[0]} ended with ${child.exitCode}`);
    const { stdout } = await run(namespace, ['ss', '-Htln', `sport = :${port}`]);
    return stdout !== '';
  };
  await waitFor(`${command[0]} to listen on port ${port}`, listens, Boolean, LIMIT_MS, 50);
}

export const run = (namespace: string, command: readonly string[]) =>
  exec('ip', ['netns', 'exec', namespace, ...command], { timeoutMs: LIMIT_MS });

/** Ends everything that runs in a namespace, whoever has started it. */
export async function endAll(namespace: string): Promise<void> {
  const end = async () => {
    const { stdout } = await exec('ip', ['netns', 'pids', namespace], { timeoutMs: LIMIT_MS });
    const pids = stdout.split('\n').filter(Boolean).map(Number);
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    return pids.length;
  };
  await waitFor(`all processes of ${namespace} to end`, end, (left) => left === 0, LIMIT_MS, 50);
}
