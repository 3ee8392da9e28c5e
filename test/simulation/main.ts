import { parseArgs } from 'node:util';
import { explore } from './support/explore.ts';
import { describeScript, type Script, scriptOf, shrink } from './support/script.ts';

/** One after two virtual seconds, on average. */
const FAULTS_IN_AN_HOUR = 1_700;
const HOUR_MS = 3_600_000;

const USAGE = `usage: npm run simulate -- [--seed S] [--hosts N] [--hours H] [--runs R]

Plays random faults over the real controller and hosts with the real executor, under virtual time, and checks every
invariant at every change. A violation is printed with its seed and with the shortest script found that still shows it.

  --seed S    first seed; default: taken from the clock
  --hosts N   hosts; default 5
  --hours H   virtual hours in each run; default 1
  --runs R    seeds, one after another; default 1
  --faults F  faults in a virtual hour; default 1700
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    hosts: { type: 'string', default: '5' },
    hours: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    faults: { type: 'string', default: String(FAULTS_IN_AN_HOUR) },
    help: { type: 'boolean', default: false },
  },
});
const [first, hosts, hours, runs, faults] = [
  ...[values.seed, values.hosts, values.hours, values.runs, values.faults],
].map(Number);

const spread = (script: Script, factor: number): Script =>
  script.map((step) => ({ ...step, afterMs: Math.round(step.afterMs * factor) }));
const playedMs = (script: Script) => script.reduce((sum, { afterMs }) => sum + afterMs, 0);

/** @returns the virtual time that passed, and what is wrong; null: nothing. */
const play = (script: Script, seed: number): Promise<{ virtualMs: number; failure: string | null }> =>
  explore(script, { seed, hosts: hosts ?? 5 }).then(
    (virtualMs) => ({ virtualMs, failure: null }),
    (error: unknown) => ({ virtualMs: playedMs(script), failure: (error as Error).message }),
  );

async function run(seed: number): Promise<boolean> {
  const anHour = faults ?? FAULTS_IN_AN_HOUR;
  const script = spread(
    scriptOf(seed, Math.max(1, Math.round((hours ?? 1) * anHour))),
    FAULTS_IN_AN_HOUR / anHour,
  );
  const before = process.cpuUsage();
  const { virtualMs, failure } = await play(script, seed);
  const { user, system } = process.cpuUsage(before);
  const hostHours = ((hosts ?? 5) * virtualMs) / HOUR_MS;
  const rate = hostHours / ((user + system) / 1_000_000);
  process.stdout.write(
    `seed ${seed}: ${hosts} hosts, ${script.length} faults, ${hostHours.toFixed(1)} host-hours: ${failure === null ? 'every invariant held' : 'VIOLATED'}; ${rate.toFixed(1)} host-hours per CPU second\n`,
  );
  if (failure === null) return true;
  const shortest = await shrink(script, async (shorter) => (await play(shorter, seed)).failure !== null);
  process.stdout.write(
    `${failure}\n\nthe shortest script found, of ${shortest.length} steps:\n${describeScript(shortest)}\n${(await play(shortest, seed)).failure ?? ''}\n`,
  );
  return false;
}

if (values.help || [first, hosts, hours, runs, faults].some((each) => !Number.isFinite(each))) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
let whole = true;
for (let seed = first ?? 1; seed < (first ?? 1) + (runs ?? 1); seed++) whole = (await run(seed)) && whole;
process.exit(whole ? 0 : 1);
