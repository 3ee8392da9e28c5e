import { demand, figuresOf, runProgram } from './program.ts';

/** A leak of 1 KiB a connection would show as 5 MiB over half of 10,000; the allocator's own noise is below this. */
const GROWTH_LIMIT_MIB = 8;

/** Connect, define, undefine, close on the test driver: memory is flat, and no thread stays. */
export async function stressConnections(count: number): Promise<object> {
  const figures = figuresOf('connections', await runProgram('connections.mjs', [count]));
  const growthMiB = Number(figures.afterMiB) - Number(figures.halfwayMiB);
  demand(figures, {
    [`memory grows by less than ${GROWTH_LIMIT_MIB} MiB over the second half`]: growthMiB < GROWTH_LIMIT_MIB,
    'no worker thread is left': figures.threadsLeft === 0,
  });
  return figures;
}

/** Calls on handles that the collector takes away meanwhile: none fails, and no event is missing. */
export async function stressCalls(count: number): Promise<object> {
  const figures = figuresOf('calls', await runProgram('calls.mjs', [count]));
  demand(figures, {
    'all calls were made': Number(figures.calls) >= count,
    'each definition and each undefinition was heard': figures.eventsHeard === figures.eventsMade,
  });
  return figures;
}
