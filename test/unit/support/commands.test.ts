import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive, recordProcess } from '../../lab/processes.ts';
import { waitFor } from '../../support/wait-for.ts';

const COMMANDS = resolve(import.meta.dirname, '../../support/commands.ts');
/** A command that pays no heed to SIGTERM, below one that waits for it, with a lab that a janitor takes down in a moment. */
const PROGRAM = (folder: string) => `
import { Commands } from ${JSON.stringify(COMMANDS)};
const commands = new Commands();
const script = 'trap "" TERM; : >$WEFT_LABS_OF_RUN/mine; echo $$ >${folder}/pid; sleep 600 & wait; sleep 600';
commands.start(['sh', '-c', script], { stdio: 'ignore' });
commands.start(['setsid', 'sh', '-c', 'while [ -d ${folder} ] && ! [ -e ${folder}/end ]; do sleep 0.05; done; rm $WEFT_LABS_OF_RUN/mine'], { stdio: 'ignore' });
`;

let folder: string;
let run: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-commands-'));
});
afterEach(async () => {
  run?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s ends what a run has started, waits for its labs to be gone, and says so',
  async (signal, code) => {
    let said = '';
    const started = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM(folder)],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    run = started;
    started.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const pid = await waitFor(
      'the command to run',
      async () => Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => '0')),
      (found) => found > 0,
      60_000,
    );
    const command = recordProcess(pid);
    started.kill(signal);
    await waitFor(
      'what runs to be ended',
      async () => isAlive(command),
      (alive) => !alive,
      60_000,
    );
    await waitFor(
      'the lab to be waited for',
      async () => said,
      (text) => text.includes('taking down mine'),
    );
    expect(started.exitCode).toBe(null);
    await writeFile(join(folder, 'end'), '');
    await waitFor(
      'the end',
      async () => started.exitCode,
      (found) => found !== null,
      60_000,
    );
    expect(started.exitCode).toBe(code);
  },
  180_000,
);
