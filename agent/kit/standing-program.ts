import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { WeftError } from './errors.ts';
import { ExclusiveRunner } from './exclusive-runner.ts';

export interface StandingOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What it says on stderr is the end of it, and of what it was asked. Otherwise nobody reads that. */
  readonly failsByStderr?: boolean;
  /** Of one question. */
  readonly timeoutMs: number;
  /** It is begun anew after so many: of a program that keeps what it was asked. Default: it stays. */
  readonly questions?: number;
}

type Child = ChildProcessByStdio<Socket, Socket, Socket | null>;

/** Of one question: is given each piece of what the program says, and tells whether with that the answer is whole. Answers are long: none is looked through again with each piece. */
export type Ending = (piece: string) => boolean;

interface Pending {
  readonly ending: Ending;
  readonly answered: (said: string) => void;
  readonly failed: (error: WeftError) => void;
}

/**
 * A program that reads question after question and stays, for what is asked often: to begin one means to copy the tables of this
 * process's memory, and to fault in each page that is written next. It is begun with the first question, and ends with this process,
 * which is the only one to hold its input. One question at a time.
 */
export class StandingProgram {
  readonly #command: readonly [string, ...string[]];
  readonly #options: StandingOptions;
  #child: Child | null = null;
  #said = '';
  #asked = 0;
  #pending: Pending | null = null;
  readonly #turns = new ExclusiveRunner();
  #hasAnswered = false;
  #isUnable = false;

  constructor(command: readonly [string, ...string[]], options: StandingOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** It ended, or said nothing, before it answered anything: there is no such program here, or it cannot stay. */
  get isUnable(): boolean {
    return this.#isUnable;
  }

  /**
   * @param question whole lines.
   * @throws WeftError `command-failed` or `timeout`: it has been ended, and the next question begins it anew.
   */
  ask(question: string, ending: Ending): Promise<string> {
    return this.#turns.run('turn', () => this.#turn(question, ending));
  }

  /** The same; where it gives no answer, `once` does: as if there were no program that stays. */
  async askOr(
    once: () => Promise<string>,
    question: string,
    isWhole: (said: string) => boolean,
  ): Promise<string> {
    return this.#isUnable ? once() : this.ask(question, isWhole).catch(once);
  }

  /** What it remembers is gone with it. Whoever asks now has no answer; the next question begins it anew. */
  end(): void {
    this.#drop(this.#failure('was ended'));
  }

  #turn(question: string, ending: Ending): Promise<string> {
    if (this.#asked >= (this.#options.questions ?? Number.POSITIVE_INFINITY)) this.end();
    this.#child ??= this.#start();
    const child = this.#child;
    this.#said = '';
    this.#asked++;
    hold(child, true);
    return new Promise<string>((resolve, reject) => {
      const { timeoutMs } = this.#options;
      const late = new WeftError('timeout', `${this.#name} did not answer within ${timeoutMs} ms`);
      const timer = setTimeout(() => this.#giveUp(late), timeoutMs);
      const over = () => {
        clearTimeout(timer);
        hold(child, false);
        this.#pending = null;
      };
      this.#pending = {
        ending,
        answered: (said) => {
          over();
          this.#hasAnswered = true;
          resolve(said);
        },
        failed: (error) => {
          over();
          reject(error);
        },
      };
      child.stdin.write(question);
    });
  }

  #start(): Child {
    const [file, ...args] = this.#command;
    const { env, failsByStderr = false } = this.#options;
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', failsByStderr ? 'pipe' : 'ignore'],
      ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
    }) as unknown as Child;
    this.#asked = 0;
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => this.#hear(child, text));
    child.stderr?.on('data', (text: Buffer) => this.#lose(child, `says: ${text.toString().trim()}`));
    child.on('error', ({ message }) => this.#lose(child, `could not be started: ${message}`));
    child.on('close', () => this.#lose(child, 'has ended'));
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', () => undefined);
    // Nobody waits for it to end.
    child.unref();
    return child;
  }

  #hear(child: Child, text: string): void {
    if (child !== this.#child) return;
    this.#said += text;
    if (this.#pending?.ending(text)) this.#pending.answered(this.#said);
  }

  #lose(child: Child, why: string): void {
    if (child === this.#child) this.#giveUp(this.#failure(why));
  }

  #giveUp(error: WeftError): void {
    this.#isUnable ||= !this.#hasAnswered;
    this.#drop(error);
  }

  #drop(error: WeftError): void {
    this.#child?.kill('SIGKILL');
    this.#child = null;
    this.#pending?.failed(error);
  }

  #failure(why: string): WeftError {
    return new WeftError('command-failed', `${this.#name} ${why}`);
  }

  get #name(): string {
    return this.#command.slice(0, 2).join(' ');
  }
}

/** While nothing is asked, it keeps nobody from ending. */
function hold({ stdin, stdout, stderr }: Child, isHeld: boolean): void {
  for (const stream of [stdin, stdout, stderr])
    if (isHeld) stream?.ref();
    else stream?.unref();
}
