import { exec } from '../../agent/kit/exec.ts';
import { waitFor } from './wait-for.ts';

const LIMIT_MS = 20_000;

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
