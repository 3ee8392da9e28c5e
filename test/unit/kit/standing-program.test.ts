import { expect, test } from 'vitest';
import { type StandingOptions, StandingProgram } from '../../../agent/kit/standing-program.ts';

const isLine = (said: string) => said.endsWith('\n');
const LIMIT_MS = 20_000;
const by = (script: string, options: Partial<StandingOptions> = {}) =>
  new StandingProgram(['sh', '-c', script], { timeoutMs: LIMIT_MS, ...options });
/** Says who it is with each answer. */
const ECHO = 'while read line; do echo "$$ $line"; done';

test('one process answers all questions, each with its own answer, however many are asked at once', async () => {
  const program = by(ECHO);
  const said = await Promise.all(['a', 'b', 'c'].map((each) => program.ask(`${each}\n`, isLine)));
  const [pid = ''] = said[0]?.split(' ') ?? [];
  expect(said).toEqual(['a', 'b', 'c'].map((each) => `${pid} ${each}\n`));
  program.end();
});

test('it is begun anew after so many questions, where it has died, and where it was ended', async () => {
  const program = by(ECHO, { questions: 2 });
  const pids = new Set<string>();
  const ask = async () => {
    const pid = (await program.ask('who\n', isLine)).split(' ')[0] ?? '';
    pids.add(pid);
    return Number(pid);
  };
  await ask();
  await ask();
  expect(pids.size).toBe(1);
  process.kill(await ask(), 'SIGKILL');
  expect(pids.size).toBe(2);
  // Of its death this process may not have heard yet: that answer is none, and the next one is.
  await ask().catch(ask);
  expect(pids.size).toBe(3);
  program.end();
  await ask();
  expect(pids.size).toBe(4);
  expect(program.isUnable).toBe(false);
  program.end();
});

test('what does not answer in time is ended, and the next question begins it anew', async () => {
  const program = by('read line; echo "$line"; read line; exec sleep 60', { timeoutMs: 500 });
  expect(await program.ask('one\n', isLine)).toBe('one\n');
  await expect(program.ask('two\n', isLine)).rejects.toMatchObject({ code: 'timeout' });
  expect(await program.ask('three\n', isLine)).toBe('three\n');
  program.end();
});

test('what it says on stderr is the end of it, where it is told so, and its reason', async () => {
  const program = by('read line; echo "no such thing" >&2; exec sleep 60', { failsByStderr: true });
  await expect(program.ask('one\n', isLine)).rejects.toThrow('no such thing');
});

test('what never answers is unable, and is known to be', async () => {
  const absent = new StandingProgram(['/nonexistent/program'], { timeoutMs: LIMIT_MS });
  await expect(absent.ask('one\n', isLine)).rejects.toMatchObject({ code: 'command-failed' });
  expect(absent.isUnable).toBe(true);
  const ending = by('exit 1');
  await expect(ending.ask('one\n', isLine)).rejects.toMatchObject({ code: 'command-failed' });
  expect(ending.isUnable).toBe(true);
});
