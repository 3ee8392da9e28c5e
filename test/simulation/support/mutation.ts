import { explore } from './explore.ts';
import type { FaultName } from './faults.ts';
import { scriptOf } from './script.ts';
import type { SimulationOptions } from './simulation.ts';

const STEPS = 40;
/** Virtual. */
const LIMIT_MS = 60_000;
const MOST_SEEDS = 40;

/** What has to say so, what is broken on purpose, and what happens meanwhile: anything, or these. */
export type Mutation = readonly [
  RegExp,
  Pick<SimulationOptions, 'plan' | 'hostMutation' | 'edges'> & { readonly memoryMiB?: number },
  (readonly FaultName[])?,
];

/** @throws when no seed shows what is broken. */
export async function expectCaught(...[wanted, mutation, faults]: Mutation): Promise<void> {
  const said: string[] = [];
  for (let seed = 1; seed <= MOST_SEEDS; seed++) {
    const message = await explore(scriptOf(seed, STEPS, faults), {
      seed,
      limitMs: LIMIT_MS,
      ...mutation,
    }).then(
      () => null,
      (error: unknown) => String((error as Error).message),
    );
    if (message === null) continue;
    said.push(message.slice(0, 300));
    if (wanted.test(message)) return;
  }
  throw new Error(`in ${MOST_SEEDS} seeds nothing said ${wanted}; what was said: ${said.join('\n')}`);
}
