import { exec } from '../kit/exec.ts';
import { StandingProgram } from '../kit/standing-program.ts';

const LIMIT_MS = 30_000;
/** Asked behind each question: what it says stands by itself, and says that the answer was whole. */
const LAST = 'describe udp dport';
const ENDS = /(?:^|\n)payload expression, [^\n]*\n$/;
/** No longer than that: nobody looks through a list of thousands again with each piece of it. */
const TAIL = 256;
const isWhole = (said: string) => ENDS.test(said.slice(-TAIL));

/**
 * nft that stays. It looks at the kernel anew for each command. It remembers what it was asked, more with each question, and would write
 * that into a file of the user's for whoever uses it by hand.
 */
class StandingNft {
  readonly #options: readonly string[];
  readonly #standing: StandingProgram;

  constructor(...options: readonly string[]) {
    this.#options = options;
    this.#standing = new StandingProgram(['nft', ...options, '--interactive'], {
      ...{ env: { HOME: '/nonexistent' }, timeoutMs: LIMIT_MS, questions: 3_000 },
    });
  }

  /** @param words of one command. @returns what it says; empty: the kernel has no such thing, or it cannot be read. */
  async ask(...words: readonly string[]): Promise<string> {
    const command = words.join(' ');
    // One line is one answer.
    if (!this.#standing.isUnable && !/[\n;]/.test(command))
      try {
        const said = await this.#standing.ask(`${command}\n${LAST}\n`, isWhole);
        return `${said.slice(0, -TAIL)}${said.slice(-TAIL).replace(ENDS, '\n')}`.replace(/^\n$/, '');
      } catch {
        // It is asked as if there were none that stays.
      }
    return exec('nft', [...this.#options, ...words], { timeoutMs: LIMIT_MS }).then(
      ({ stdout }) => stdout,
      () => '',
    );
  }
}

const tables = new StandingNft('--stateless');
const counters = new StandingNft();

/** A table as the kernel has it, without what it counts; empty: there is none. */
export const listTable = (family: string, name: string): Promise<string> =>
  tables.ask('list', 'table', family, name);

/** With what it counts. @param words `list chain …`, `get element …`. @returns empty: there is no such thing. */
export const askCounting = (words: readonly string[]): Promise<string> => counters.ask(...words);
