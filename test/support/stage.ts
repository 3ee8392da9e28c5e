import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Commands } from './commands.ts';
import { failuresOf, skippedOf, type VitestReport } from './vitest-report.ts';

const repository = resolve(import.meta.dirname, '../..');
const bin = (name: string) => join(repository, 'node_modules/.bin', name);

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface StageResult {
  readonly name: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly counts: Counts;
  /** What failed, each by its file, its name and the first line of why; for the end of the output, far from where it happened. */
  readonly failures?: readonly string[];
  /** What was passed over, each by its file and its name. */
  readonly skipped?: readonly string[];
}

/** Beside what is installed: it goes with that, and is in no commit. */
const TYPES_SEEN = join(repository, 'node_modules/.cache/weft/types.tsbuildinfo');

const NOTHING: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Checks that look at the code without running it; each counts as one test. */
const STATIC_CHECKS: Readonly<Record<string, readonly string[]>> = {
  // What has not changed since it was checked last, nor anything that it imports, is not checked again: the compiler compares digests.
  types: [bin('tsc'), '--noEmit', '-p', 'tsconfig.json', '--incremental', '--tsBuildInfoFile', TYPES_SEEN],
  lint: [bin('biome'), 'check', '--error-on-warnings', '.'],
  boundaries: [
    bin('depcruise'),
    '--config',
    '.dependency-cruiser.cjs',
    'agent',
    'controller',
    'images',
    'test',
  ],
  'dead code': [bin('knip')],
};

async function runStatic(name: string, command: readonly string[], commands: Commands): Promise<StageResult> {
  const startedMs = Date.now();
  const { code, output } = await run(commands, command, 'capture');
  const ok = code === 0;
  if (!ok) process.stdout.write(output);
  return report({
    name,
    ok,
    ms: Date.now() - startedMs,
    counts: { ...NOTHING, passed: ok ? 1 : 0, failed: ok ? 0 : 1 },
  });
}

/** What needs neither root nor a hypervisor, nor the machine for itself: types, lint, boundaries, dead code, and the fast tests beside them. */
export async function runFast(commands: Commands): Promise<readonly StageResult[]> {
  // By itself vitest leaves one processor idle.
  const workers = [`--maxWorkers=${availableParallelism()}`];
  const projects = ['unit', 'property', 'simulation'];
  const [statics, tests] = await Promise.all([
    runStatics(commands),
    runVitest(projects.join(', '), projects, commands, workers),
  ]);
  return [...statics, tests];
}

async function runStatics(commands: Commands): Promise<readonly StageResult[]> {
  const results: StageResult[] = [];
  for (const [name, command] of Object.entries(STATIC_CHECKS))
    results.push(await runStatic(name, command, commands));
  return results;
}

/** Runs vitest projects and reads its own count. A run that executed no test has failed. */
export async function runVitest(
  name: string,
  projects: readonly string[],
  commands: Commands = new Commands(),
  options: readonly string[] = [],
): Promise<StageResult> {
  const startedMs = Date.now();
  const outputFile = join(commands.folder, `${randomUUID()}.json`);
  const { code } = await run(
    commands,
    [
      bin('vitest'),
      'run',
      ...projects.flatMap((project) => ['--project', project]),
      ...options,
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${outputFile}`],
    ],
    'show',
  );
  const text = await readFile(outputFile, 'utf8').catch(() => '{}');
  const result = JSON.parse(text) as VitestReport;
  const counts = {
    passed: result.numPassedTests ?? 0,
    failed: result.numFailedTests ?? 0,
    skipped: result.numPendingTests ?? 0,
  };
  const ok = code === 0 && counts.passed > 0 && counts.failed === 0;
  return report({
    name,
    ok,
    ms: Date.now() - startedMs,
    counts: ok || counts.failed > 0 ? counts : { ...counts, failed: 1 },
    failures: failuresOf(result, repository),
    skipped: skippedOf(result, repository),
  });
}

/** Prints the closing line and gives the exit code. */
export function close(results: readonly StageResult[]): number {
  const sum = (key: keyof Counts) => results.reduce((total, each) => total + each.counts[key], 0);
  process.stdout.write('\n');
  for (const each of results) {
    process.stdout.write(line(each));
    for (const failure of each.failures ?? []) process.stdout.write(`       ${failure}\n`);
    for (const name of each.skipped ?? []) process.stdout.write(`       skipped: ${name}\n`);
  }
  const skipped = sum('skipped');
  process.stdout.write(
    `\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
  );
  return results.every((each) => each.ok) ? 0 : 1;
}

function report(result: StageResult): StageResult {
  process.stdout.write(line(result));
  return result;
}

const line = (result: StageResult) =>
  `${result.ok ? 'ok    ' : 'FAILED'} ${result.name.padEnd(24)} ${(result.ms / 1000).toFixed(1).padStart(7)} s\n`;

function run(
  commands: Commands,
  command: readonly string[],
  mode: 'capture' | 'show',
): Promise<{ code: number; output: string }> {
  const ended = new Promise<{ code: number; output: string }>((done, reject) => {
    const child = commands.start(command, {
      cwd: repository,
      stdio: mode === 'show' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
      env: { npm_config_update_notifier: 'false' },
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => done({ code: code ?? 1, output: Buffer.concat(chunks).toString() }));
  });
  return commands.unlessEnding(ended);
}
