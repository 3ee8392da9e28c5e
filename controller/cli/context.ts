import type { WeftClient } from '../client/index.ts';

/** What a command works with. */
export interface Context {
  client(): Promise<WeftClient>;
  readonly json: boolean;
  /** To stdout: the answer. */
  print(text: string): void;
  /** To stderr: progress. */
  say(text: string): void;
}

/** One command of `weft`. Commander is loaded before; everything else a command needs, it loads when it runs. */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  readonly options?: readonly (readonly [flags: string, summary: string, defaultValue?: string])[];
  /** What follows the first argument is another program's: options in it are not ours. */
  readonly passThrough?: boolean;
  /** Of its group: meant where the group's name is followed by none of its commands. */
  readonly isDefault?: boolean;
  /** @returns the exit code; nothing: 0. */
  run(
    context: Context,
    args: readonly string[],
    options: Readonly<Record<string, unknown>>,
  ): Promise<number | undefined>;
}
