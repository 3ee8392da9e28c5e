import { stripVTControlCharacters } from 'node:util';
import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { StartupTask, TaskResult } from '../protocol/index.ts';
import { WEFT } from './guest-scripts.ts';
import { exportLines, quote } from './quote.ts';
import type { SshSession } from './ssh-session.ts';

const OUTPUT_LIMIT_MS = 30_000;
const OUTPUT_BYTES = 65_536;

/** Printable text of a guest: no terminal sequences, no control characters but newline and tab. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/\p{Cc}/gu, (character) => (character === '\n' || character === '\t' ? character : ''))
    .slice(-OUTPUT_BYTES);

const folderOf = (run: string) => `${WEFT}/runs/${run}`;

/** Starts the tasks of one incarnation and boot, unless they were started already, and follows them. */
export function composeStartup(tasks: readonly StartupTask[], run: string): string {
  const dir = folderOf(run);
  const lines = tasks.flatMap((task) => {
    const folder = `${dir}/${task.name}`;
    return [
      `mkdir -p ${folder}\n`,
      `printf %s ${quote(`${task.run}\n`)} >${folder}/command\n`,
      `printf %s ${quote(exportLines(task.env))} >${folder}/env\n`,
      `echo ${Math.max(1, Math.ceil(task.timeoutMs / 1000))} >${folder}/timeout\n`,
      `echo ${task.retries} >${folder}/retries\n`,
    ];
  });
  const order = tasks.map((task) => `${task.name} ${task.kind}\n`).join('');
  return [
    'umask 022\n',
    `if ! [ -f ${dir}/log ]; then\n`,
    ...lines,
    `printf %s ${quote(order)} >${dir}/order\n`,
    `: >${dir}/log\n`,
    `setsid ${WEFT}/bin/startup ${dir} </dev/null >/dev/null 2>&1 &\n`,
    'fi\n',
    `exec ${WEFT}/bin/follow ${dir}/log\n`,
  ].join('');
}

export interface StartupProgress {
  readonly tasks: readonly TaskResult[];
  /** The simple tasks are done: the role may start. */
  readonly done: boolean;
  readonly failed: boolean;
}

/** Reads the log that the guest keeps. A guest's word: lines that make no sense are passed over. */
export class StartupLog {
  readonly #clock: Clock;
  readonly #tasks: readonly StartupTask[];
  readonly #results = new Map<string, TaskResult>();
  #done = false;
  #failed = false;

  constructor(tasks: readonly StartupTask[], clock: Clock) {
    this.#tasks = tasks;
    this.#clock = clock;
  }

  take(line: string): void {
    if (line === 'startup done') this.#done = true;
    if (line === 'startup failed') this.#failed = true;
    const [, name, status, code, attempts, centiseconds] =
      /^(\S+) (running|done|failed|timed-out) (\d{1,3}) (\d{1,6}) (\d{1,12})$/.exec(line) ?? [];
    const task = this.#tasks.find((each) => each.name === name);
    if (!task || name === undefined) return;
    const ms = Number(centiseconds) * 10;
    const known = this.#results.get(name);
    this.#results.set(name, {
      name,
      kind: task.kind,
      status: status as TaskResult['status'],
      exitCode: status === 'running' ? null : Number(code),
      attempts: Number(attempts),
      startedAtMs: known?.startedAtMs ?? this.#clock.now() - ms,
      ms,
      output: known?.output ?? '',
    });
  }

  setOutput(name: string, output: string): void {
    const known = this.#results.get(name);
    if (known) this.#results.set(name, { ...known, output });
  }

  progress(): StartupProgress {
    const tasks = this.#tasks.flatMap((task) => this.#results.get(task.name) ?? []);
    return { tasks, done: this.#done, failed: this.#failed };
  }
}

export async function readOutput(session: SshSession, run: string, task: string): Promise<string> {
  const dir = `${folderOf(run)}/${task}`;
  const { stdout } = await session.run(
    `cat ${dir}/output.old ${dir}/output.now ${dir}/output.new 2>/dev/null | tail -c ${OUTPUT_BYTES}`,
    { timeoutMs: OUTPUT_LIMIT_MS },
  );
  return printable(stdout);
}

/** The error of a start that failed: the task, its exit code and the end of its output. */
export function startupError(progress: StartupProgress): WeftError {
  const task = progress.tasks.find(
    (each) => each.kind === 'simple' && (each.status === 'failed' || each.status === 'timed-out'),
  );
  if (!task) return new WeftError('task-failed', 'a startup task failed');
  const how = task.status === 'timed-out' ? 'ran out of time' : `ended with exit code ${task.exitCode}`;
  const tail = task.output.trim().split('\n').slice(-5).join('\n');
  return new WeftError(
    'task-failed',
    `startup task ${task.name} ${how} after ${task.attempts} ${task.attempts === 1 ? 'try' : 'tries'}${tail ? `: ${tail}` : ''}`,
    { remedy: `See all of its output with: weft logs ID --task ${task.name}` },
  );
}
