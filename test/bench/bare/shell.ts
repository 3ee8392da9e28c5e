import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type BareGuest, bootBareGuest } from './boot.ts';

const COMMAND_LIMIT_MS = 180_000;

/** What this program reads of its file. */
export interface BareShellRun {
  readonly guest: BareGuest;
  readonly userPrivateKey: string;
  readonly limitMs: number;
}

/**
 * Runs inside the network namespace of one bare guest, and ends with its own input, the guest as well. Says `{id: 0}` when the guest has
 * answered by SSH. Then each line of its input is `{id, command, input?}`, and of its output `{id, answer}` with what the command printed,
 * or `{id, error}`.
 */
async function main(file: string): Promise<void> {
  const { guest, userPrivateKey, limitMs } = JSON.parse(await readFile(file, 'utf8')) as BareShellRun;
  const say = (line: Readonly<Record<string, unknown>>) =>
    void process.stdout.write(`${JSON.stringify(line)}\n`);
  let qemu: ChildProcess | null = null;
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => {
    qemu?.kill('SIGKILL');
    process.exit(0);
  });
  const session = await bootBareGuest(guest, {
    ...{ userPrivateKey, limitMs, signal: new AbortController().signal },
    onStart: (started) => {
      qemu = started;
    },
  });
  lines.on('line', (line) => {
    const { id, command, input } = JSON.parse(line) as { id: number; command: string; input?: string };
    session
      .run(command, { timeoutMs: COMMAND_LIMIT_MS, ...(input === undefined ? {} : { input }) })
      .then(({ exitCode, stdout, stderr }) =>
        say(
          exitCode === 0
            ? { id, answer: stdout }
            : { id, error: `${command}: ended with ${exitCode}: ${stderr}` },
        ),
      )
      .catch((error: Error) => say({ id, error: error.message }));
  });
  say({ id: 0 });
}

await main(process.argv[2] ?? '');
