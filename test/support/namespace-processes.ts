import { readFile } from 'node:fs/promises';
import { exec } from '../../agent/kit/exec.ts';
import { waitFor } from './wait-for.ts';

const LIMIT_MS = 20_000;

/** Command lines of what runs in a network namespace, by pid. */
export async function commandsIn(namespace: string): Promise<ReadonlyMap<number, string>> {
  const { stdout } = await exec('ip', ['netns', 'pids', namespace], { timeoutMs: LIMIT_MS });
  const pids = stdout.split('\n').filter(Boolean).map(Number);
  const lines = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return [pid, text.split('\0').join(' ').trim()] as const;
    }),
  );
  return new Map(lines.filter(([, line]) => line !== ''));
}

/** Ends everything that runs in a network namespace, whoever has started it. One that is not there has nothing. */
export async function endAll(namespace: string): Promise<void> {
  const end = async () => {
    const pids = ['netns', 'pids', namespace];
    const { stdout } = await exec('ip', pids, { timeoutMs: LIMIT_MS }).catch(() => ({ stdout: '' }));
    const all = stdout.split('\n').filter(Boolean).map(Number);
    for (const pid of all)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    return all.length;
  };
  await waitFor(`all processes of ${namespace} to end`, end, (left) => left === 0, LIMIT_MS, 50);
}
