import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type BareGuest, bootBareGuest } from './boot.ts';

/** What this program reads: QEMUs to start at once, and how to reach their guests. */
export interface BareRun {
  readonly guests: readonly BareGuest[];
  readonly userPrivateKey: string;
  readonly limitMs: number;
}

/**
 * Runs inside the network namespace of the bare guests. Prints one JSON array: milliseconds from the first start to each guest's first
 * command done.
 */
async function main(file: string): Promise<void> {
  const { guests, userPrivateKey, limitMs } = JSON.parse(await readFile(file, 'utf8')) as BareRun;
  const stop = new AbortController();
  const startedMs = performance.now();
  const qemus: ChildProcess[] = [];
  const onStart = (qemu: ChildProcess) => void qemus.push(qemu);
  try {
    const boots = guests.map(async (guest) => {
      const session = await bootBareGuest(guest, { userPrivateKey, limitMs, signal: stop.signal, onStart });
      const { exitCode } = await session.run('true');
      if (exitCode !== 0) throw new Error(`the first command ended with ${exitCode}`);
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
