import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import { makeSshKeyPair, type SshKeyPair } from '../../../agent/kit/ssh-keys.ts';
import { REPOSITORY } from '../../lab/layout.ts';
import type { BareGuest } from './boot.ts';
import { type Pattern, prepareBareGuest } from './prepare.ts';
import type { BareRun } from './runner.ts';

const NAMESPACE = 'weft-bench-bare';
const PREFIX = '10.201.0';
const ip = (...args: string[]) => exec('ip', args, { timeoutMs: 10_000 });

/**
 * Starts `count` bare QEMUs at once and waits for the first SSH command of each, in a network namespace with a bridge of its own.
 * Overlays, seeds and taps are made before the clock starts.
 * @returns milliseconds from the start of the first QEMU to each guest's first command done.
 */
export async function bootBareGuests(pattern: Pattern, count: number): Promise<readonly number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-bench-'));
  const userKey = makeSshKeyPair('bench');
  try {
    await ip('netns', 'add', NAMESPACE);
    const inside = (...args: string[]) => ip('-n', NAMESPACE, ...args);
    await inside('link', 'add', 'bare0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
    await inside('address', 'add', `${PREFIX}.1/24`, 'dev', 'bare0');
    await inside('link', 'set', 'bare0', 'up');
    const guests = await Promise.all(
      Array.from({ length: count }, (_, index) => prepare(pattern, index, folder, userKey, inside)),
    );
    const run: BareRun = { guests, userPrivateKey: userKey.private, limitMs: 600_000 };
    const runFile = join(folder, 'run.json');
    await writeFile(runFile, JSON.stringify(run), { mode: 0o600 });
    const runner = ['--import', 'tsx', join(REPOSITORY, 'test/bench/bare/runner.ts'), runFile];
    const { stdout } = await exec('ip', ['netns', 'exec', NAMESPACE, process.execPath, ...runner], {
      cwd: REPOSITORY,
      timeoutMs: 900_000,
    });
    return JSON.parse(stdout) as number[];
  } finally {
    await exec('ip', ['netns', 'delete', NAMESPACE], { timeoutMs: 10_000, okExitCodes: [0, 1] });
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare(
  pattern: Pattern,
  index: number,
  parent: string,
  userKey: SshKeyPair,
  inside: (...args: string[]) => Promise<unknown>,
): Promise<BareGuest> {
  const tap = `bare-tap${index}`;
  await inside('tuntap', 'add', 'dev', tap, 'mode', 'tap');
  await inside('link', 'set', tap, 'master', 'bare0', 'up');
  const number = 10 + index;
  return prepareBareGuest(pattern, parent, userKey, {
    ...{ name: `bare-${index}`, tap, address: `${PREFIX}.${number}` },
    mac: `52:54:0a:c9:00:${number.toString(16).padStart(2, '0')}`,
    ...{ cidr: `${PREFIX}.0/24`, gateway: `${PREFIX}.1` },
  });
}
