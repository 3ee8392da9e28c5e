import { exec } from '../kit/exec.ts';
import { type Ending, StandingProgram } from '../kit/standing-program.ts';

/** Asked behind each question: what it says stands by itself, and says that the answer was whole. */
const LAST = 'describe udp dport';
const ENDS = /(^|\n)payload expression, [^\n]*\n$/;
/** The last of an answer, in which its end is looked for. */
const TAIL = 256;

function endingOf(): Ending {
  let tail = '';
  return (piece) => {
    tail = `${tail}${piece}`.slice(-TAIL);
    return ENDS.test(tail);
  };
}

/**
 * nft that stays. It looks at the kernel anew for each command. It remembers what it was asked, more with each question, and would write
 * that into a file of the user's for whoever uses it by hand.
 */
class StandingNft {
  readonly #options: readonly string[];
  readonly #timeoutMs: number;
  readonly #standing: StandingProgram;

  constructor(timeoutMs: number, ...options: readonly string[]) {
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    this.#standing = new StandingProgram(['nft', ...options, '--interactive'], {
      ...{ env: { HOME: '/nonexistent' }, timeoutMs, questions: 3_000 },
    });
  }

  /** @param words of one command. @returns what it says; empty: the kernel has no such thing. @throws WeftError `command-failed`, `timeout`. */
  async ask(...words: readonly string[]): Promise<string> {
    const command = words.join(' ');
    const once = () => this.#once(words);
    // One line is one answer.
    if (/[\n;]/.test(command)) return once();
    const said = await this.#standing.askOr(once, `${command}\n${LAST}\n`, endingOf());
    return `${said.slice(0, -TAIL)}${said.slice(-TAIL).replace(ENDS, '$1')}`;
  }

  async #once(words: readonly string[]): Promise<string> {
    const options = { timeoutMs: this.#timeoutMs, okExitCodes: [0, 1] };
    const { stdout, exitCode } = await exec('nft', [...this.#options, ...words], options);
    return exitCode === 0 ? stdout : '';
  }
}

const tables = new StandingNft(30_000, '--stateless');
const counters = new StandingNft(5_000);

/** A table as the kernel has it, without what it counts; empty: there is none, or it cannot be read. */
export const listTable = (family: string, name: string): Promise<string> =>
  tables.ask('list', 'table', family, name).catch(() => '');

/** With what it counts. @param words `list chain …`, `get element …`. @returns empty: there is no such thing. */
export const askCounting = (words: readonly string[]): Promise<string> => counters.ask(...words);
