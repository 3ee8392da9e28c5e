import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { Command, CommanderError } from 'commander';
import { findAccelerator } from '../../agent/hypervisor/accelerator.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { readBootId } from '../../agent/observer/facts.ts';
import { address } from './benchmarks/address.ts';
import { bootOne } from './benchmarks/boot-one.ts';
import { bootTwenty } from './benchmarks/boot-twenty.ts';
import { drainTwenty } from './benchmarks/drain-twenty.ts';
import { edgePath } from './benchmarks/edge-path.ts';
import { failover } from './benchmarks/failover.ts';
import { firstRequest } from './benchmarks/first-request.ts';
import { goalLatency } from './benchmarks/goal-latency.ts';
import { guestPath } from './benchmarks/guest-path.ts';
import { liveMigration } from './benchmarks/live-migration.ts';
import { networkApply } from './benchmarks/network-apply.ts';
import { networkPath } from './benchmarks/network-path.ts';
import { overlay } from './benchmarks/overlay.ts';
import { placement } from './benchmarks/placement.ts';
import { publish } from './benchmarks/publish.ts';
import type { Benchmark, Measurement } from './contract.ts';
import { renderTable } from './table.ts';

const BENCHMARKS: readonly Benchmark[] = [
  overlay,
  goalLatency,
  placement,
  bootOne,
  bootTwenty,
  drainTwenty,
  failover,
  liveMigration,
  networkApply,
  networkPath,
  guestPath,
  edgePath,
  publish,
  firstRequest,
  address,
];

const program = new Command('npm run bench --')
  .description(
    'Measures Weft against baselines taken in the same run. Needs a machine with nothing else to do.',
  )
  .argument('[names...]', `which: ${BENCHMARKS.map(({ name }) => name).join(', ')}; none: all`)
  .option('--rounds <n>', 'readings of each, instead of its own number', (text) => Number.parseInt(text, 10))
  .option('--output <file>', 'write the result as JSON too')
  .option('--json', 'print the result as JSON instead of a table')
  .addHelpText(
    'after',
    `\n${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}\n`,
  )
  .exitOverride();

interface Options {
  readonly rounds?: number;
  readonly output?: string;
  readonly json?: boolean;
}

async function main(): Promise<void> {
  program.parse();
  const options = program.opts<Options>();
  const unknown = program.args.filter((name) => !BENCHMARKS.some((each) => each.name === name));
  if (unknown.length > 0)
    throw new WeftError('usage', `there is no benchmark ${unknown.join(', ')}`, {
      remedy: `There is: ${BENCHMARKS.map(({ name }) => name).join(', ')}.`,
    });
  const chosen = BENCHMARKS.filter(({ name }) => program.args.length === 0 || program.args.includes(name));
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const measurements: Measurement[] = [];
  for (const benchmark of chosen) {
    say(`━━ ${benchmark.name}: ${benchmark.about}`);
    measurements.push(...(await benchmark.run({ rounds: options.rounds ?? null, say })));
  }
  const machine = await describeMachine();
  const document = `${JSON.stringify({ machine, measurements }, null, 2)}\n`;
  if (options.output !== undefined) await writeFile(options.output, document);
  if (options.json) process.stdout.write(document);
  else process.stdout.write(`${Object.values(machine).join(', ')}\n${renderTable(measurements)}`);
}

async function describeMachine() {
  const accelerator = await findAccelerator({
    cacheFile: '/var/cache/weft/lab/accelerator.json',
    bootId: await readBootId(),
    override: process.env.WEFT_ACCELERATOR,
  });
  return {
    processor: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    accelerator: accelerator.kind,
    node: process.version,
  };
}

try {
  await main();
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exit(thrown.exitCode === 0 ? 0 : 2);
  const error = WeftError.from(thrown);
  process.stderr.write(`bench: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(error.code === 'usage' ? 2 : 1);
}
process.exit(0);
