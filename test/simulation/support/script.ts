import { FAULTS, type FaultName } from './faults.ts';
import { Random } from './random.ts';
import type { Simulation } from './simulation.ts';

/** One thing that happens: after how long, what, and to which of those it may happen to. */
export interface ScriptStep {
  readonly afterMs: number;
  readonly fault: FaultName;
  /** From it alone the step's choices are made: a step keeps its meaning when others before it are left out. */
  readonly pick: number;
}
export type Script = readonly ScriptStep[];

const NAMES = Object.keys(FAULTS) as readonly FaultName[];

/** What happens under a seed. @param names of what may happen; default: anything. */
export function scriptOf(seed: number, steps: number, names: readonly FaultName[] = NAMES): Script {
  const random = new Random(seed ^ 0x5eed);
  return Array.from({ length: steps }, () => ({
    afterMs: random.between(1, 16) * 250,
    fault: names[random.between(0, names.length - 1)] ?? 'mend',
    pick: random.between(0, 2 ** 31 - 1),
  }));
}

/** @throws what an invariant says, when one is broken. */
export async function play(simulation: Simulation, script: Script): Promise<void> {
  for (const { afterMs, fault, pick } of script) {
    await simulation.run(afterMs);
    // A user who asks for what cannot be is told so; that is no fault of the fabric.
    await Promise.resolve(FAULTS[fault](simulation, new Random(pick))).catch(onlyRefusals);
  }
}

export function onlyRefusals(error: unknown): void {
  const { code } = error as { code?: string };
  if (code === undefined || code === 'internal') throw error;
}

/**
 * Leaves out of a script what is not needed for it to fail, ever smaller pieces at a time. The time that was to pass is kept.
 * @param fails plays a script from the beginning.
 */
export async function shrink(script: Script, fails: (script: Script) => Promise<boolean>): Promise<Script> {
  let smallest = script;
  for (let size = Math.ceil(script.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < smallest.length; ) {
      const shorter = without(smallest, from, size);
      if (await fails(shorter)) smallest = shorter;
      else from += size;
    }
  }
  return smallest;
}

function without(script: Script, from: number, count: number): Script {
  const passedMs = script.slice(from, from + count).reduce((sum, { afterMs }) => sum + afterMs, 0);
  const [next, ...rest] = script.slice(from + count);
  return [
    ...script.slice(0, from),
    ...(next ? [{ ...next, afterMs: next.afterMs + passedMs }, ...rest] : []),
  ];
}

export const describeScript = (script: Script): string =>
  script.map(({ afterMs, fault, pick }) => `  after ${afterMs} ms: ${fault} (${pick})`).join('\n');
