import { Commands } from './commands.ts';
import { close, runStatic, runVitest, STATIC_CHECKS } from './stage.ts';

/** The fast inner loop: types, lint, boundaries, dead code, and the tests that need neither root nor a hypervisor. */
const commands = new Commands();
const [statics, fast] = await Promise.all([
  (async () => {
    const results = [];
    for (const [name, command] of Object.entries(STATIC_CHECKS))
      results.push(await runStatic(name, command, commands));
    return results;
  })(),
  runVitest('unit, property, simulation', ['unit', 'property', 'simulation'], commands),
]);
process.exit(close([...statics, fast]));
