import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { waitForSsh } from '../../../agent/guest/wait-for-ssh.ts';
import { systemClock } from '../../../agent/kit/clock.ts';

/** What this program reads: QEMUs to start at once, and how to reach them. */
export interface BareRun {
  readonly guests: readonly {
    readonly program: string;
    readonly arguments: readonly string[];
    readonly address: string;
    readonly hostPublicKey: string;
  }[];
  readonly userPrivateKey: string;
  readonly limitMs: number;
}

/**
 * Runs inside the network namespace of the bare guests, and looks for their SSH as the agent does. Prints one JSON array: milliseconds from
 * the first start to each guest's first command done.
 */
async function main(file: string): Promise<void> {
  const run = JSON.parse(await readFile(file, 'utf8')) as BareRun;
  const stop = new AbortController();
  const startedMs = performance.now();
  const qemus: ChildProcess[] = [];
  try {
    const boots = run.guests.map(async (guest) => {
      const qemu = spawn(guest.program, guest.arguments, { stdio: ['ignore', 'ignore', 'pipe'] });
      qemus.push(qemu);
      let words = '';
      qemu.stderr.on('data', (chunk: Buffer) => {
        words = (words + chunk.toString()).slice(-2_000);
      });
      const ended = new Promise<never>((_, reject) => {
        qemu.once('error', reject);
        qemu.once('exit', (code) => reject(new Error(`QEMU ended with ${code}: ${words}`)));
      });
      const connected = waitForSsh({
        target: {
          host: guest.address,
          user: 'root',
          privateKey: run.userPrivateKey,
          hostPublicKey: guest.hostPublicKey,
        },
        clock: systemClock,
        limitMs: run.limitMs,
        signal: stop.signal,
      });
      const session = await Promise.race([connected, ended]);
      const { exitCode } = await session.run('true');
      if (exitCode !== 0) throw new Error(`the first command ended with ${exitCode}`);
      ended.catch(() => undefined);
      return performance.now() - startedMs;
    });
    process.stdout.write(JSON.stringify(await Promise.all(boots)));
  } finally {
    stop.abort();
    for (const qemu of qemus) qemu.kill('SIGKILL');
  }
}

await main(process.argv[2] ?? '');
process.exit(0);
