import { Commands } from './commands.ts';
import { close, runFast } from './stage.ts';

/** The fast inner loop: types, lint, boundaries, dead code, and the tests that need neither root nor a hypervisor. */
process.exit(close(await runFast(new Commands())));
