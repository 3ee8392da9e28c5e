import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quote } from '../../../agent/guest/quote.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { copyProgram } from '../../../images/recipes/shared-libraries.ts';
import type { RunClient } from './generators.ts';
import { REQUEST_PORT, THROUGHPUT_PORT } from './our-hosts.ts';
import { webServerText } from './web-server.ts';

/** In guests. */
const ROOT = '/tools';
const PROGRAMS = ['/usr/bin/iperf3', '/usr/bin/wrk', '/usr/sbin/haproxy'];

/** Runs a command of a shell in a guest. @returns what it printed. @throws when it fails. */
export type RunInGuest = (command: string, input?: string) => Promise<string>;

/** This machine's own programs with what they load, for guests that have none of it. @returns a tar.gz, base64. */
export async function packTools(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-bench-tools-'));
  try {
    const root = join(folder, 'root');
    for (const name of ['dev', 'tmp']) await mkdir(join(root, name), { recursive: true });
    for (const program of PROGRAMS)
      await copyProgram(program, program.slice(program.lastIndexOf('/') + 1), root);
    const archive = join(folder, 'tools.tar.gz');
    await exec('tar', ['-czf', archive, '-C', root, '.'], { timeoutMs: 60_000 });
    return await readFile(archive, 'base64');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function installTools(run: RunInGuest, archive: string): Promise<void> {
  await run(`mkdir -p ${ROOT} && base64 -d | tar -xz -C ${ROOT} && mount -o bind /dev ${ROOT}/dev`, archive);
}

/** The servers of what is read of a path. */
export async function startServers(run: RunInGuest): Promise<void> {
  const inTools = inGuest(run);
  await inTools(withTools(['iperf3', '--server', '--daemon', '--port', String(THROUGHPUT_PORT)]));
  await run(`cat >${ROOT}/web.cfg`, webServerText(REQUEST_PORT));
  await inTools(withTools(['haproxy', '-D', '-f', '/web.cfg']));
}

/** With what the guest has itself. */
export const inGuest =
  (run: RunInGuest): RunClient =>
  (command) =>
    run(command.map(quote).join(' '));

export const withTools = (command: readonly string[]): readonly string[] => ['chroot', ROOT, ...command];
