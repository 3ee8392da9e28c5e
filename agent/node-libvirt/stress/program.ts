import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export interface ProgramOptions {
  /** What runs Node, for example `valgrind`. */
  readonly wrapper?: readonly string[];
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
  /** Called with the process once it runs. */
  readonly meanwhile?: (child: ChildProcess) => Promise<void>;
}

/** How a program ended. `figures` is its last line of output, read as JSON; null when there is none. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly figures: Readonly<Record<string, unknown>> | null;
  readonly errors: string;
}

/** The collector at its busiest: a young generation of 1 MiB, and `gc()` for the program to call. */
export const SMALL_HEAP = ['--expose-gc', '--max-semi-space-size=1'] as const;

/** Runs one of `programs/` in a Node of its own. A program over its limit is killed, which its end shows. */
export async function runProgram(
  program: string,
  args: readonly (string | number)[],
  options: ProgramOptions = {},
): Promise<ProgramEnd> {
  const { wrapper = [], nodeFlags = SMALL_HEAP, env = {}, limitMs = 300_000, meanwhile } = options;
  const [file = process.execPath, ...rest] = [...wrapper, process.execPath, ...nodeFlags];
  const child = spawn(file, [...rest, join(import.meta.dirname, 'programs', program), ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Loaders of the parent are no part of what is measured.
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-20_000);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const ended = new Promise<Pick<ProgramEnd, 'code' | 'signal'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  try {
    await meanwhile?.(child);
    return { ...(await ended), figures: lastLine(output), errors };
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

function lastLine(output: string): Readonly<Record<string, unknown>> | null {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : null;
}

/** Figures of a program that ended well. @throws Error with its last words otherwise. */
export function figuresOf(program: string, end: ProgramEnd): Readonly<Record<string, unknown>> {
  if (end.code === 0 && end.figures !== null) return end.figures;
  throw new Error(`${program} ended with ${end.signal ?? `exit code ${end.code}`}\n${end.errors}`);
}

/** @throws Error that names the first claim that does not hold. */
export function demand(figures: object, claims: Readonly<Record<string, boolean>>): void {
  for (const [claim, holds] of Object.entries(claims))
    if (!holds) throw new Error(`not so: ${claim}; measured: ${JSON.stringify(figures)}`);
}
