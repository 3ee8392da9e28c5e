import type { VmRow } from '../client/index.ts';
import type { Context } from './context.ts';
import { seconds } from './output.ts';

export type ProgressRow = VmRow & { readonly gone?: boolean };

/** Tells what becomes of VMs while a command waits for them. Always to stderr. */
export interface Progress {
  /** A VM as it was when the waiting began. */
  begin(row: ProgressRow): void;
  tell(row: ProgressRow): void;
  /** Something that concerns no one VM. */
  note(text: string): void;
  /** Nothing is shown any more after this. @param reached what was waited for has come. */
  end(reached: boolean): Promise<void>;
}

/** A terminal gets a table that is written over, everything else a line for each change. listr2 asks for both to be one. */
export async function createProgress(context: Context, title: string): Promise<Progress> {
  if (process.stderr.isTTY !== true || process.stdout.isTTY !== true) return new PlainProgress(context);
  const { LiveProgress } = await import('./live-progress.ts');
  return new LiveProgress(title);
}

export function describe(row: ProgressRow): string {
  if (row.gone) return 'gone';
  const step = row.step && row.state !== 'ready' ? ` (${row.step})` : '';
  const failure = row.failure && row.state !== 'ready' ? `: ${row.failure.message}` : '';
  return `${row.state}${step}${row.host ? ` on ${row.host}` : ''}${failure}`;
}

class PlainProgress implements Progress {
  readonly #context: Context;
  readonly #startedAtMs = Date.now();
  readonly #told = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  begin(row: ProgressRow): void {
    this.#told.set(row.id, describe(row));
  }

  tell(row: ProgressRow): void {
    const text = describe(row);
    if (this.#told.get(row.id) === text) return;
    this.#told.set(row.id, text);
    this.note(`${row.id.padEnd(24)} ${text}`);
  }

  note(text: string): void {
    this.#context.say(`${seconds(Date.now() - this.#startedAtMs).padStart(8)}  ${text}`);
  }

  async end(): Promise<void> {}
}
