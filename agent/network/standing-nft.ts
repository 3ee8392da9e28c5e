import { exec } from '../kit/exec.ts';
import { StandingProgram } from '../kit/standing-program.ts';

const LIMIT_MS = 30_000;
/** Asked behind each table: what it says stands by itself, and says that the table was whole. */
const LAST = 'describe udp dport';
const ENDS = /(?:^|\n)payload expression, [^\n]*\n$/;
/** No longer than that: nobody looks through a list of thousands again with each piece of it. */
const TAIL = 256;
const isWhole = (said: string) => ENDS.test(said.slice(-TAIL));

/**
 * It looks at the kernel anew for each command. It remembers what it was asked, more with each question, and would write that into a
 * file of the user's for whoever uses it by hand.
 */
const standing = new StandingProgram(['nft', '--stateless', '--interactive'], {
  ...{ env: { HOME: '/nonexistent' }, timeoutMs: LIMIT_MS, questions: 3_000 },
});

/** A table as the kernel has it, without what it counts; empty: there is none, or it cannot be read. */
export async function listTable(family: string, name: string): Promise<string> {
  if (!standing.isUnable)
    try {
      const said = await standing.ask(`list table ${family} ${name}\n${LAST}\n`, isWhole);
      return `${said.slice(0, -TAIL)}${said.slice(-TAIL).replace(ENDS, '\n')}`;
    } catch {
      // It is asked as if there were none that stays.
    }
  const words = ['--stateless', 'list', 'table', family, name];
  return exec('nft', words, { timeoutMs: LIMIT_MS }).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
