import { exec } from '../../../agent/kit/exec.ts';
import { endAll } from '../../support/namespace-processes.ts';

/** Ends those whose names begin so, with all that runs in them: servers outlive who has started them. */
export async function endNamespaces(prefix: string): Promise<void> {
  const { stdout } = await exec('ip', ['netns', 'list'], { timeoutMs: 30_000 });
  const own = stdout.split('\n').flatMap((line) => line.split(' ')[0] ?? []);
  for (const namespace of own.filter((name) => name.startsWith(prefix))) {
    await endAll(namespace);
    await exec('ip', ['netns', 'delete', namespace], { timeoutMs: 30_000 });
  }
}
