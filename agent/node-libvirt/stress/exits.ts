import { demand, runProgram } from './program.ts';

const MODES = ['exit', 'throw', 'signal', 'abandon', 'worker'] as const;
const LONGEST_MS = 60;

/**
 * Processes that end in the middle of calls and events, `count` for each manner of ending, at moments spread evenly over
 * the first 60 ms of their work: each ends by itself with exit code 0, never by a signal.
 */
export async function stressExits(count: number, uris: readonly string[]): Promise<object> {
  let ended = 0;
  const bad: string[] = [];
  for (const uri of uris)
    for (const mode of MODES)
      for (let index = 0; index < count; index++) {
        const ms = Math.round((index * LONGEST_MS) / Math.max(1, count - 1));
        const end = await runProgram('exit.mjs', [uri, mode, ms], { nodeFlags: [], limitMs: 60_000 });
        ended++;
        if (end.code !== 0)
          bad.push(`${mode} after ${ms} ms: ${end.signal ?? `exit code ${end.code}`} ${end.errors}`);
      }
  const figures = { processes: ended, manners: MODES.length, bad };
  demand(figures, { 'each process ended as it should': bad.length === 0 });
  return figures;
}
