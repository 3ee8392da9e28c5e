import { parseArgs } from 'node:util';
import { explore } from './support/explore.ts';
import { describeScript, type Script, scriptOf, shrink } from './support/script.ts';

/** Two virtual seconds, on average. */
const STEPS_IN_AN_HOUR = 1_700;
const HOUR_MS = 3_600_000;

const USAGE = `usage: npm run simulate -- [--seed S] [--hosts N] [--hours H] [--runs R]

Plays random faults over the real controller and simulated hosts, under virtual time, and checks every invariant after
every step. A violation is printed with its seed and with the shortest script found that still shows it.

  --seed S    first seed; default: taken from the clock
  --hosts N   hosts; default 5
  --hours H   virtual hours in each run; default 1
  --runs R    seeds, one after another; default 1
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    hosts: { type: 'string', default: '5' },
    hours: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
const [first, hosts, hours, runs] = [values.seed, values.hosts, values.hours, values.runs].map(Number);

/** @returns what is wrong; null: nothing. */
const failureOf = (script: Script, seed: number): Promise<string | null> =>
  explore(script, { seed, hosts: hosts ?? 5 }).then(
    () => null,
    (error: unknown) => (error as Error).message,
  );

async function run(seed: number): Promise<boolean> {
  const script = scriptOf(seed, Math.max(1, Math.round((hours ?? 1) * STEPS_IN_AN_HOUR)));
  const before = process.cpuUsage();
  const failure = await failureOf(script, seed);
  const { user, system } = process.cpuUsage(before);
  const virtualHours = script.reduce((sum, { afterMs }) => sum + afterMs, 0) / HOUR_MS;
  const rate = ((hosts ?? 5) * virtualHours) / ((user + system) / 1_000_000);
  process.stdout.write(
    `seed ${seed}: ${hosts} hosts, ${virtualHours.toFixed(2)} h of faults: ${failure === null ? 'every invariant held' : 'VIOLATED'}; ${rate.toFixed(1)} host-hours per CPU second\n`,
  );
  if (failure === null) return true;
  const shortest = await shrink(script, async (shorter) => (await failureOf(shorter, seed)) !== null);
  process.stdout.write(
    `${failure}\n\nthe shortest script found, of ${shortest.length} steps:\n${describeScript(shortest)}\n${(await failureOf(shortest, seed)) ?? ''}\n`,
  );
  return false;
}

if (values.help || [first, hosts, hours, runs].some((each) => !Number.isFinite(each))) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
let whole = true;
for (let seed = first ?? 1; seed < (first ?? 1) + (runs ?? 1); seed++) whole = (await run(seed)) && whole;
process.exit(whole ? 0 : 1);
