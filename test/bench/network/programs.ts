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
