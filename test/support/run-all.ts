import { availableParallelism } from 'node:os';
import { buildProgramsOnce } from '../lab/build.ts';
import { Commands } from './commands.ts';
import { close, runFast, runVitest, type StageResult } from './stage.ts';

/** The whole suite. Real libvirt, real QEMU, real SSH from `contract` on: one stage after another, so that they do not slow each other. */
// Seeds of random faults; the fast inner loop takes a few.
process.env.WEFT_RUNS ??= '100';
const commands = new Commands();
const results: StageResult[] = [...(await runFast(commands))];
await buildProgramsOnce();
// Its tests wait for a good part: with one more than there are processors none of these idles.
results.push(
  await runVitest('contract', ['contract'], commands, [`--maxWorkers=${availableParallelism() + 1}`]),
);
results.push(await runVitest('node-libvirt', ['node-libvirt'], commands));
results.push(await runVitest('system', ['system'], commands));
process.exit(close(results));
