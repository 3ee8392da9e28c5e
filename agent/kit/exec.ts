import { execa, type Options, type Result } from 'execa';
import { WeftError } from './errors.ts';
import { holdWhole } from './whole-input.ts';

export interface ExecOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly input?: string | Uint8Array;
  /** The program gets all of the input or is not begun, also where this process is killed meanwhile: of what it does by halves. */
  readonly wholeInput?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Exit codes that are answers, not errors. Default: only 0. */
  readonly okExitCodes?: readonly number[];
  /** Called for each line of stdout and stderr as it arrives. */
  readonly onLine?: (line: string) => void;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Runs a program with an argument array; never through a shell.
 * @throws WeftError `command-failed` with the program, exit code and the tail of stderr; `timeout` when it ran too long.
 */
export async function exec(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const { input } = options;
  if (input === undefined || !options.wholeInput)
    return run(file, args, options, input === undefined ? { stdin: 'ignore' } : { stdin: 'pipe', input });
  const whole = await holdWhole(input);
  try {
    // Any descriptor will do; its types name a few.
    return await run(file, args, options, { stdin: whole.fd as 3 });
  } finally {
    await whole.close();
  }
}

async function run(
  file: string,
  args: readonly string[],
  options: ExecOptions,
  input: Pick<Options, 'stdin' | 'input'>,
): Promise<ExecResult> {
  const execaOptions: Options = {
    reject: false,
    ...input,
    maxBuffer: 64 * 1024 * 1024,
    all: options.onLine !== undefined,
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  };
  const child = execa(file, [...args], execaOptions);
  if (options.onLine) void readLines(child, options.onLine);
  const result: Result = await child;
  if (result.timedOut) {
    throw new WeftError(
      'timeout',
      `${file} ${args[0] ?? ''} did not end within ${options.timeoutMs} ms`.trim(),
    );
  }
  const exitCode = result.exitCode ?? -1;
  const stdout = String(result.stdout ?? '');
  const stderr = String(result.stderr ?? '');
  if (!(options.okExitCodes ?? [0]).includes(exitCode)) {
    const why = stderr.trim().split('\n').slice(-5).join('\n') || result.message || 'no output';
    throw new WeftError('command-failed', `${file} ${args[0] ?? ''} failed (exit ${exitCode}): ${why}`, {
      details: { file, exitCode },
      cause: result.originalMessage ? new Error(result.originalMessage) : undefined,
    });
  }
  return { stdout, stderr, exitCode };
}

async function readLines(child: ReturnType<typeof execa>, onLine: (line: string) => void): Promise<void> {
  try {
    for await (const line of child.iterable({ from: 'all' })) onLine(String(line));
  } catch {
    // The result of the process itself reports the failure.
  }
}
