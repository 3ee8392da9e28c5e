import { close, runStatic, runVitest, STATIC_CHECKS, type StageResult } from './stage.ts';

/** The whole suite. Real libvirt, real QEMU, real SSH from `contract` on: one stage after another, so that they do not slow each other. */
// Seeds of random faults; the fast inner loop takes a few.
process.env.WEFT_RUNS ??= '200';
const results: StageResult[] = [];
for (const [name, command] of Object.entries(STATIC_CHECKS)) results.push(await runStatic(name, command));
results.push(await runVitest('unit, property, simulation', ['unit', 'property', 'simulation']));
results.push(await runVitest('contract', ['contract']));
results.push(await runVitest('node-libvirt', ['node-libvirt']));
results.push(await runVitest('system', ['system']));
process.exit(close(results));
